"""Packages as written -> one package a target."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from modelbuild.manifest.model import Encryption
from modelbuild.manifest.model import Package as Written
from modelbuild.manifest.model import PackagedModel as WrittenModel
from modelbuild.manifest.tree import Path

DEFAULT_VERSION = "0001"


@dataclass(frozen=True)
class PackagedModel:
    """A model in a package; `path` is where the manifest names it there."""

    name: str
    id: int | None
    version: str
    path: Path


@dataclass(frozen=True)
class Package:
    """One package for one target. `entry` is the name it is written under; `format` None is the recipe's."""

    name: str
    entry: str
    target: str
    format: str | None
    models: tuple[PackagedModel, ...]
    include: tuple[str, ...] = ()  # further files, whose models go into it
    encrypt: Encryption | None = None


def expand(packages: Mapping[str, Written], models: Mapping[str, object]) -> tuple[Package, ...]:
    """`targets: [a, b]` makes NAME-a and NAME-b; without `models:` a package has every model. Two packages
    may come out with one name: that is for the checks to report. A list of models keeps its order; those of a
    mapping are in the package by id and name."""
    expanded: list[Package] = []
    for name, written in packages.items():
        chosen = _models(name, written, models)
        named = {name: written.target} if written.target is not None else {}
        named.update({f"{name}-{target}": target for target in written.targets or ()})
        further = written.include or (), written.encrypt
        expanded += [
            Package(full, name, target, written.format, chosen, *further) for full, target in named.items()
        ]
    return tuple(expanded)


def _models(package: str, written: Written, models: Mapping[str, object]) -> tuple[PackagedModel, ...]:
    base: Path = ("packages", package)
    if isinstance(written.models, dict):
        found = (
            _model(name, given or WrittenModel(), (*base, "models", name))
            for name, given in written.models.items()
        )
        return tuple(sorted(found, key=_order))
    if written.models is None:
        return tuple(sorted((_model(name, WrittenModel(), base) for name in models), key=_order))
    return tuple(
        _model(name, WrittenModel(), (*base, "models", index)) for index, name in enumerate(written.models)
    )


def _order(model: PackagedModel) -> tuple[int, str]:
    """The place of a model among those of a mapping, whose own order means nothing."""
    return (model.id or 0, model.name)


def _model(name: str, given: WrittenModel, path: Path) -> PackagedModel:
    return PackagedModel(name, given.id, given.version or DEFAULT_VERSION, path)
