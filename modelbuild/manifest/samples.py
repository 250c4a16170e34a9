"""The manifest's sample sets -> files, names and labels, each set gathered once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelbuild.errors import ModelbuildError, Problem
from modelbuild.manifest.manifest import Manifest
from modelbuild.manifest.model import SampleSet as Written
from modelbuild.samples.copies import in_both
from modelbuild.samples.labels import kind_of
from modelbuild.samples.loader import Label, Sample, SampleSet, gather_files, pair, read_labels

ANY_INPUT = ""  # the input name of samples that are one file each: whatever inputs the model has


@dataclass(frozen=True)
class Chosen:
    """Samples chosen from a set. `optimistic`: they also calibrated the model."""

    name: str
    samples: SampleSet
    optimistic: bool = False

    @property
    def labels(self) -> tuple[Label, ...] | None:
        """The label of each sample, where the set has labels."""
        labels = tuple(sample.label for sample in self.samples.entries if sample.label is not None)
        return labels if labels and len(labels) == len(self.samples.entries) else None

    @property
    def kind(self) -> str | None:
        """Of what kind the labels are; None where there are none."""
        return None if self.labels is None else kind_of(self.labels)


def gather(written: Written, root: Path) -> SampleSet:
    """Every sample of a set, sorted, with labels. Files of a set without `inputs:` stand under ANY_INPUT."""
    if written.inputs:
        found = {name: gather_files(given.files, root) for name, given in sorted(written.inputs.items())}
        samples = pair(found)
        labelled: Sequence[Path] = [next(iter(sample.files.values())) for sample in samples.entries]
    else:
        labelled = gather_files(written.files or (), root)
        samples = SampleSet(tuple(Sample({ANY_INPUT: path}, path.stem) for path in labelled))
    if written.labels is None:
        return samples
    labels = written.labels if written.labels == "folders" else root / written.labels
    return samples.with_labels(read_labels(labels, labelled, root))


class Sets:
    """The sample sets of a manifest, read from the disk when first asked for."""

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest
        self._found: dict[str, SampleSet | ModelbuildError] = {}
        self._chosen: dict[tuple[Any, ...], Chosen] = {}
        self._shared: dict[tuple[int, int], tuple[Chosen, Chosen, int]] = {}  # by id, which they keep alive

    def get(self, name: str) -> SampleSet:
        """All samples of the set `name`, which exists in the manifest. Errors are the set's own."""
        if name not in self._found:
            try:
                self._found[name] = gather(self._manifest.spec.samples[name], self._manifest.root)
            except ModelbuildError as error:
                self._found[name] = error
            except (OSError, ValueError) as error:
                self._found[name] = ModelbuildError("cannot read the sample files", why=str(error))
        found = self._found[name]
        if isinstance(found, ModelbuildError):
            raise found
        return found

    def choose(self, choice: Mapping[str, Any], inputs: Sequence[str], optimistic: bool = False) -> Chosen:
        """The samples of {set, count}, for a model with these inputs; the same object for the same choice."""
        key = choice["set"], choice["count"], tuple(inputs), optimistic
        if key not in self._chosen:
            samples = self.get(choice["set"])
            if choice["count"] is not None:
                samples = samples.choose(choice["count"])
            self._chosen[key] = Chosen(choice["set"], for_inputs(samples, inputs), optimistic)
        return self._chosen[key]

    def shared(self, calibration: Chosen, evaluation: Chosen) -> int:
        """How many files of the one are in the other, under whatever name."""
        key = id(calibration), id(evaluation)
        if key not in self._shared:
            first, second = (
                [path for sample in chosen.samples.entries for path in sample.files.values()]
                for chosen in (calibration, evaluation)
            )
            self._shared[key] = calibration, evaluation, len(in_both(first, second))
        return self._shared[key][2]

    def calibration(self, values: Mapping[str, Any], inputs: Sequence[str]) -> Chosen | None:
        """The samples that ranges are observed on. `values` are effective settings."""
        choice = values["calibration"]
        return None if choice is None else self.choose(choice, inputs)

    def evaluation(self, values: Mapping[str, Any], inputs: Sequence[str]) -> Chosen | None:
        """The samples that accuracy is measured on: those of calibration, if no others are named."""
        choice = values["evaluation"]
        if choice is not None:
            return self.choose(choice, inputs)
        choice = values["calibration"]
        return None if choice is None else self.choose(choice, inputs, optimistic=True)


def for_inputs(samples: SampleSet, inputs: Sequence[str]) -> SampleSet:
    """The same samples with their files under the names of a model's inputs. One file serves several inputs
    only as .npz; a set with `inputs:` must have each of them."""
    if not inputs:
        return samples
    entries = []
    for sample in samples.entries:
        if ANY_INPUT in sample.files:
            path = sample.files[ANY_INPUT]
            if len(inputs) > 1 and path.suffix.lower() != ".npz":
                raise ModelbuildError.of([_one_file(path, inputs)])
            entries.append(Sample(dict.fromkeys(inputs, path), sample.name, sample.label))
        else:
            missing = [name for name in inputs if name not in sample.files]
            if missing:
                raise ModelbuildError(
                    f"no samples for the input `{missing[0]}`",
                    why=f"the set has files for {', '.join(sorted(sample.files))}",
                    advice=f"add `{missing[0]}: {{files: ...}}` to the set's `inputs`",
                )
            entries.append(sample)
    return SampleSet(tuple(entries))


def _one_file(path: Path, inputs: Sequence[str]) -> Problem:
    return Problem(
        f"one file cannot feed the {len(inputs)} inputs {', '.join(inputs)}",
        str(path),
        "of files that hold one tensor or picture, each input needs its own",
        "write `inputs: {NAME: {files: ...}, ...}` in the sample set, or use .npz with the inputs as keys",
    )
