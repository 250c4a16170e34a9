"""`init`: a commented manifest for a model and chips, and what git should ignore."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from modelbuild import address, importers, whole_file
from modelbuild.chips.load import load_recipe
from modelbuild.errors import ModelbuildError, did_you_mean
from modelbuild.importers.describe import Border, describe
from modelbuild.manifest.model import FIXED_SUFFIX
from modelbuild.manifest.scaffold import SAMPLES_FOLDER, ChipFacts, Choices, InputFacts, manifest_text
from modelbuild.project.project import DIST, REPORTS, STATE
from modelbuild.quantize.sample_counts import ENOUGH
from modelbuild.samples.loader import gather_files

_RANK_OF_PICTURES = 4
IGNORED = (f"{STATE}/", f"{DIST}/", f"{REPORTS}/")


@dataclass(frozen=True)
class Started:
    """What `init` wrote, and what the user still has to do."""

    manifest: Path
    gitignore: bool
    missing: tuple[str, ...]

    def to_json(self) -> dict[str, object]:
        """The object of `init --json`."""
        return {
            "manifest": self.manifest.name,
            "gitignore": self.gitignore,
            "missing": list(self.missing),
        }


def init(
    source: str,
    chips: Sequence[str],
    *,
    directory: Path,
    file: str = "models.yaml",
    samples: Sequence[str] = (),
    shapes: Mapping[str, Sequence[int]] | None = None,
    weights: Path | None = None,
) -> Started:
    """Write `directory`/`file` for the model file `source`, and the file of its weights where they are apart.
    An existing manifest is never overwritten."""
    manifest = directory / file
    if manifest.exists():
        raise ModelbuildError(
            "there is a manifest already", where=file, advice="edit it, or name another file with -f"
        )
    if address.is_address(source):
        raise ModelbuildError(
            "a first manifest is written for a model file, not for an address",
            where=address.shown(source),
            why="its inputs and outputs have to be looked at",
            advice="fetch the file first; then replace its path in the manifest by `{url: …, sha256: …}`",
        )
    model = Path(source)
    facts, outputs = described(model, shapes or {}, "--input", weights)
    count = len(gather_files(list(samples), directory)) if samples else None
    text = manifest_text(
        Path(os.path.relpath(model, directory)).as_posix(),
        facts,
        outputs,
        chip_facts(chips, directory),
        samples,
        min(count, ENOUGH) if count else None,
        Choices(weights="" if weights is None else Path(os.path.relpath(weights, directory)).as_posix()),
    )
    ignored = _ignore_text(directory)
    whole_file.write(manifest, text.encode())
    if ignored is not None:
        whole_file.write(directory / ".gitignore", ignored.encode())
    there = (directory / SAMPLES_FOLDER).is_dir() and any((directory / SAMPLES_FOLDER).iterdir())
    missing = () if samples or there else (f"put typical inputs into {SAMPLES_FOLDER}/",)
    return Started(manifest, ignored is not None, missing)


def described(
    model: Path, shapes: Mapping[str, Sequence[int]], option: str, weights: Path | None = None
) -> tuple[list[InputFacts], Sequence[str]]:
    """The inputs, in these shapes, and the names of the outputs of a model file that can be imported. A batch
    of 64 in a file whose network takes any is 1 unless told.

    `option` is what errors call the one that gave the shapes."""
    inputs, outputs = describe(model, weights)
    given = {name: tuple(shape) for name, shape in shapes.items()}
    _check_shapes(given, inputs, option)
    facts = [InputFacts(port.name, given.get(port.name, _usual(port)), port.dtype) for port in inputs]
    _try_import(model, facts, weights)
    return facts, outputs


def _usual(port: Border) -> tuple[int | None, ...]:
    return (1, *port.shape[1:]) if port.resizes and len(port.shape) == _RANK_OF_PICTURES else port.shape


def chip_facts(chips: Sequence[str], directory: Path) -> list[ChipFacts]:
    """The chips that names, or paths of recipes, stand for; each once."""
    found = {recipe.chip: (chip, recipe) for chip in chips for recipe in [load_recipe(chip, directory)]}
    return [
        ChipFacts(name, recipe.container.format, chip if "/" in chip or Path(chip).suffix else name)
        for name, (chip, recipe) in found.items()
    ]


def _check_shapes(given: Mapping[str, tuple[int, ...]], inputs: Sequence[Border], option: str) -> None:
    known = {port.name: (None,) * len(port.shape) if port.resizes else port.shape for port in inputs}
    for name, shape in given.items():
        if name not in known:
            raise ModelbuildError(
                f"the model has no input `{name}`",
                where=f"{option} {name}",
                why=f"its inputs are {', '.join(known)}",
                advice=did_you_mean(name, known),
            )
        fits = len(shape) == len(known[name]) and all(
            size in (None, wanted) for size, wanted in zip(known[name], shape, strict=True)
        )
        if known[name] and not fits:
            has = next(port.shown for port in inputs if port.name == name)
            raise ModelbuildError(
                f"the shape {list(shape)} does not fit the input `{name}`",
                where=f"{option} {name}",
                why=f"the model says {has}",
                advice=_other_shape(name, shape, known[name], option),
            )


def _other_shape(name: str, shape: Sequence[int], known: Sequence[int | None], option: str) -> str:
    """How a network gets a size that its file has fixed otherwise."""
    if len(shape) != len(known):
        return f"give {len(known)} sizes"
    wanted = json.dumps({name: list(shape)}, ensure_ascii=False)
    manifest = "save what `pack --print-manifest` writes" if option == "--shape" else "write the manifest"
    return (
        f"{option} is for sizes that the file leaves open: export the model for this one; or {manifest} "
        f"without it, add `edit: [{{shape: {wanted}}}]` to the model there, and build that"
    )


def _try_import(model: Path, facts: Sequence[InputFacts], weights: Path | None) -> None:
    """Raises what importing would, so that no manifest is written for a model that cannot be built."""
    if model.name.endswith(FIXED_SUFFIX):
        return
    shapes = {port.name: tuple(size for size in port.shape if size is not None) for port in facts}
    if all(
        len(shapes[port.name]) == len(port.shape) for port in facts
    ):  # else the user has to say them first
        importers.load(model, shapes, (), weights)


def _ignore_text(directory: Path) -> str | None:
    """`.gitignore` with what a build leaves; None where it stands there already."""
    path = directory / ".gitignore"
    try:
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
    except (OSError, UnicodeDecodeError) as error:
        raise ModelbuildError(
            "cannot read the .gitignore that is there",
            where=str(path),
            why=str(error),
            advice=f"save it as UTF-8, or move it away and add {' '.join(IGNORED)} to it by hand",
        ) from None
    wanted = [entry for entry in IGNORED if entry not in text.splitlines()]
    if not wanted:
        return None
    head = text if not text or text.endswith("\n") else text + "\n"
    return head + "\n".join(wanted) + "\n"
