"""The file that says which networks are measured, on which samples: read and checked."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from modelbuild.errors import ModelbuildError
from modelbuild.samples.loader import gather_files, read_labels, spread

DEFAULT = Path(__file__).with_name("models.yaml")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Group(_Strict):
    """Files and how many of them are taken, spread evenly."""

    files: str | list[str]
    count: int | None = Field(None, ge=1)
    labels: str | None = None


class Input(_Strict):
    """The network's one input: `shape` without open dimensions, `preprocess` as in a manifest."""

    name: str
    shape: tuple[int, ...]
    preprocess: dict[str, Any]


class Network(_Strict):
    """A network and its samples."""

    file: str
    input: Input
    calibration: list[Group]
    evaluation: list[Group]


class Declaration(_Strict):
    """Networks by name, in the order of the table."""

    models: dict[str, Network]


@dataclass(frozen=True)
class Samples:
    """Paths, and the class of each where all are labelled."""

    files: list[Path]
    labels: list[int] | None


def read(path: Path) -> Declaration:
    """Raises ModelbuildError where the file is none or says what is not known."""
    try:
        return Declaration.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, yaml.YAMLError, ValidationError) as error:
        raise ModelbuildError(
            "this declaration of networks cannot be used", where=str(path), why=str(error)
        ) from error


def locate(name: str, folders: Sequence[Path]) -> Path:
    """The file of that relative path in the first folder that has it."""
    for folder in folders:
        if (folder / name).exists():
            return folder / name
    raise ModelbuildError(f"{name} is in none of the folders of --models", why=", ".join(map(str, folders)))


def gather(
    groups: Sequence[Group],
    folders: Sequence[Path],
    most: int | None = None,
    without: Collection[Path] = (),
) -> Samples:
    """The groups' files in order, but those of `without`; of more than `most` all are thinned alike."""
    chosen = [pair for group in groups for pair in _group(group, folders) if pair[0] not in without]
    kept = [chosen[index] for index in spread(min(most or len(chosen), len(chosen)), len(chosen))]
    labels = [label for _, label in kept if label is not None]
    return Samples([path for path, _ in kept], labels if len(labels) == len(kept) else None)


def _group(group: Group, folders: Sequence[Path]) -> list[tuple[Path, int | None]]:
    patterns = [group.files] if isinstance(group.files, str) else group.files
    found = [path for pattern in patterns for path in _matching(pattern, folders)]
    labels: Sequence[int | None] = [None] * len(found)
    if group.labels:
        labels = _classes(locate(group.labels, folders), found)
    return [(found[index], labels[index]) for index in spread(group.count or len(found), len(found))]


def _classes(path: Path, files: Sequence[Path]) -> list[int]:
    labels = read_labels(path, files)
    classes = [label for label in labels if isinstance(label, int)]
    if len(classes) < len(labels):
        raise ModelbuildError("these labels are no classes, of which alone the top-1 is", where=str(path))
    return classes


def _matching(pattern: str, folders: Sequence[Path]) -> Sequence[Path]:
    start = Path(f"{pattern.partition('*')[0]}_").parent  # the folder before the first wildcard
    holding = [folder for folder in folders if (folder / start).is_dir()]
    if not holding:
        raise ModelbuildError(
            f"{pattern} is in none of the folders of --models", why=", ".join(map(str, folders))
        )
    return gather_files(pattern, holding[0])
