"""`init`: a commented manifest for a model and chips, and what git should ignore."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from modelbuild.chips.load import load_recipe
from modelbuild.errors import ModelbuildError
from modelbuild.importers.describe import describe
from modelbuild.manifest.scaffold import SAMPLES_FOLDER, ChipFacts, InputFacts, manifest_text
from modelbuild.project.project import DIST, REPORTS, STATE
from modelbuild.samples.loader import gather_files

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
) -> Started:
    """Write `directory`/`file` for the model file `source`. An existing manifest is never overwritten."""
    manifest = directory / file
    if manifest.exists():
        raise ModelbuildError(
            f"{file} exists already", where=str(manifest), advice="edit it, or name another file with -f"
        )
    model = Path(source)
    inputs, outputs = describe(model)
    given = {name: tuple(shape) for name, shape in (shapes or {}).items()}
    facts = [InputFacts(port.name, given.get(port.name, port.shape), port.dtype) for port in inputs]
    recipes = [load_recipe(chip, directory) for chip in chips]
    count = len(gather_files(list(samples), directory)) if samples else None
    text = manifest_text(
        Path(os.path.relpath(model, directory)).as_posix(),
        facts,
        outputs,
        [ChipFacts(recipe.chip, recipe.container.format) for recipe in recipes],
        samples,
        min(count, 64) if count else None,
    )
    ignored = _ignore_text(directory)
    _write(manifest, text)
    if ignored is not None:
        _write(directory / ".gitignore", ignored)
    missing = () if samples else (f"put typical inputs into {SAMPLES_FOLDER}/",)
    return Started(manifest, ignored is not None, missing)


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


def _write(path: Path, text: str) -> None:
    """The whole file or none of it."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8", newline="\n")
        temporary.replace(path)
    except OSError as error:
        raise ModelbuildError(
            f"cannot write {path.name}", where=str(path.parent), why=error.strerror or str(error)
        ) from None
    finally:
        temporary.unlink(missing_ok=True)
