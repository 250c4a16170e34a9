"""A sample set as data: which files feed which input, and the label of each sample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from modelbuild.errors import ModelbuildError
from modelbuild.samples.labels import Label

_LISTED = 3  # names in a message before it says "and N more"


@dataclass(frozen=True)
class Sample:
    """One thing to run a model on: a file for each input (an .npz may serve several)."""

    files: Mapping[str, Path]
    name: str  # the stem of its files
    label: Label | None = None


@dataclass(frozen=True)
class SampleSet:
    """Samples in the order in which they are used."""

    entries: tuple[Sample, ...]

    def choose(self, count: int) -> SampleSet:
        """`count` samples, evenly spaced over the set."""
        return SampleSet(tuple(self.entries[index] for index in spread(count, len(self.entries))))

    def with_labels(self, labels: Sequence[Label]) -> SampleSet:
        """The same samples, labelled in order."""
        pairs = zip(self.entries, labels, strict=True)
        return SampleSet(tuple(replace(sample, label=label) for sample, label in pairs))


def pair(files: Mapping[str, Sequence[Path]]) -> SampleSet:
    """Samples of several inputs: files of one stem belong together. `files`: input name -> its sorted files;
    the first input gives the order of the set. A stem that an input lacks, or has twice, is an error."""
    stems = {name: _by_stem(name, paths) for name, paths in files.items()}
    first_name, first = next(iter(stems.items()))
    for name, found in stems.items():
        for there, here, lacking in ((first, found, name), (found, first, first_name)):
            missing = [stem for stem in there if stem not in here]
            if missing:
                listed = ", ".join(missing[:_LISTED])
                more = f" and {len(missing) - _LISTED} more" if len(missing) > _LISTED else ""
                raise ModelbuildError(
                    f"input {lacking} has no file for {listed}{more}",
                    where=str(there[missing[0]]),
                    why="files of several inputs are paired by their names without suffix",
                    advice="add the missing files or take the others out of the set",
                )
    return SampleSet(tuple(Sample({name: by[stem] for name, by in stems.items()}, stem) for stem in first))


def _by_stem(name: str, paths: Sequence[Path]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in paths:
        if path.stem in found:
            raise ModelbuildError(
                f"input {name} has two files called {path.stem}",
                where=str(path),
                why=f"the other is {found[path.stem]}; files are paired by their names without suffix",
                advice="rename one of them",
            )
        found[path.stem] = path
    return found


def spread(count: int, total: int) -> list[int]:
    """`count` indices evenly spaced over 0 … total - 1: the middles of `count` equal parts."""
    if count < 1:
        raise ModelbuildError(f"{count} samples asked for", advice="ask for one or more")
    if count > total:
        raise ModelbuildError(
            f"{count} samples asked for, the set has {total}",
            advice=f"set `count` to {total} or less, or add samples",
        )
    return [(2 * index + 1) * total // (2 * count) for index in range(count)]
