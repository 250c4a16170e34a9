"""Checks of packages: names, formats, ids and versions; and what no package asks for."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from modelbuild.chips.recipe import Recipe
from modelbuild.formats.nef_generations import FLATBUFFER, RESERVED_IDS, chosen
from modelbuild.manifest import tree
from modelbuild.manifest.checks import complete, names
from modelbuild.manifest.manifest import Manifest
from modelbuild.manifest.packages import Package, PackagedModel
from modelbuild.manifest.problems import Problems
from modelbuild.manifest.settings import Settings
from modelbuild.manifest.tree import Position

MAX_ID = 0xFFFFFFFF  # a NEF stores ids in 32 bits
_VERSION = re.compile(r"[0-9a-fA-F]{4}")


def check_packages(manifest: Manifest, packages: Sequence[Package], problems: Problems) -> None:
    """Names, formats, ids and versions."""
    seen: dict[str, Package] = {}
    for package in packages:
        at = tree.place(manifest.tree, ("packages", package.entry), of_key=True)
        other = seen.setdefault(package.name, package)
        if other is not package:
            first = tree.place(manifest.tree, ("packages", other.entry), of_key=True)
            problems.error(
                f"two packages are called {package.name}",
                at,
                f"the other is at {first}",
                "rename one of them",
            )
        recipe = manifest.recipes.get(package.target)
        if recipe is None:
            continue
        _check_format(manifest, package, recipe, problems)
        if not package.models and complete(manifest, "packages", package.entry):
            _tell_empty(manifest, package, at, problems)
        if recipe.container.format == "nef":
            _check_ids(manifest, package, problems)
    _warn_ids_without_meaning(manifest, packages, problems)
    for package in packages:
        _check_versions(manifest, package, problems)


def _tell_empty(manifest: Manifest, package: Package, at: Position, problems: Problems) -> None:
    if not names(manifest, "models"):
        problems.error(f"the package {package.name} has no models", at, advice="add one under `models:`")
        return
    problems.error(
        f"the package {package.name} has no models",
        tree.place(manifest.tree, ("packages", package.entry, "models"), of_key=True),
        "files are included beside models of its own" if package.include else "",
        "name one, or combine the files with `modelbuild nef combine`" if package.include else "name one",
    )


def _check_format(manifest: Manifest, package: Package, recipe: Recipe, problems: Problems) -> None:
    if package.format is not None and package.format != recipe.container.format:
        at = tree.place(manifest.tree, ("packages", package.entry, "format"))
        problems.error(
            f"{recipe.chip} does not take `{package.format}` packages",
            at,
            f"its packages are {recipe.container.format}",
            "remove `format`, or choose another target",
        )


def _check_ids(manifest: Manifest, package: Package, problems: Problems) -> None:
    taken: dict[int, PackagedModel] = {}
    placed = [(tree.place(manifest.tree, (*model.path, "id")), model) for model in package.models]
    for at, model in sorted(placed, key=lambda pair: pair[0]):
        if model.id is None:
            if complete(manifest, *model.path):
                problems.error(
                    f"`{model.name}` has no id in the package {package.name}",
                    at,
                    "firmware picks a model of a NEF by its id",
                    f'write `models: {{{model.name}: {{id: {RESERVED_IDS}, version: "0001"}}}}`',
                )
            continue
        if not 0 < model.id <= MAX_ID:
            problems.error(
                f"the id {model.id} is not possible",
                at,
                "ids are from 1 to 4294967295",
                f"use {RESERVED_IDS} or more",
            )
        elif model.id < RESERVED_IDS:
            problems.warn(
                "MB001",
                f"the id {model.id} is reserved: Kneron keeps ids below {RESERVED_IDS}",
                at,
                f"use {RESERVED_IDS} or more",
            )
        other = taken.setdefault(model.id, model)
        if other is not model:
            first = tree.place(manifest.tree, (*other.path, "id"))
            problems.error(
                f"`{other.name}` and `{model.name}` have the same id {model.id}",
                at,
                f"the other is at {first}; firmware picks a model by its id",
                "give one of them another id",
            )


def _warn_ids_without_meaning(manifest: Manifest, packages: Sequence[Package], problems: Problems) -> None:
    formats: dict[str, set[str]] = {}
    for package in packages:
        recipe = manifest.recipes.get(package.target)
        formats.setdefault(package.entry, set()).add(recipe.container.format if recipe else "nef")
    for package in packages:
        if "nef" in formats[package.entry]:
            continue
        for model in package.models:
            if model.id is not None:
                at = tree.place(manifest.tree, (*model.path, "id"))
                listed = " and ".join(sorted(formats[package.entry]))
                problems.warn(
                    "MB002", f"{listed} packages have no ids: the id {model.id} is not used", at, "remove it"
                )


def _check_versions(manifest: Manifest, package: Package, problems: Problems) -> None:
    for model in package.models:
        if not _VERSION.fullmatch(model.version):
            problems.error(
                f"the version `{model.version}` is not four hex digits",
                tree.place(manifest.tree, (*model.path, "version")),
                advice=f'write `version: "{_padded(model.version)}"`',
            )


def check_setups(
    manifest: Manifest, settings: Mapping[tuple[str, str], Settings], problems: Problems
) -> None:
    """The models of a NEF share the form of their setup."""
    for package in manifest.packages.values():
        recipe = manifest.recipes.get(package.target)
        listed = [settings.get((model.name, package.target)) for model in package.models]
        found = [one for one in listed if one is not None]
        if recipe is None or len(found) < 2:
            continue
        has = recipe.container
        setups = {
            one.model: chosen(has.platform, has.setup, one.values["compile"].get(FLATBUFFER)) for one in found
        }
        if len(set(setups.values())) > 1:
            other = next(one for one in found if FLATBUFFER in one.values["compile"])
            problems.error(
                f"the models of the package {package.name} ask for different forms of the setup",
                other.origin(("compile", FLATBUFFER)),
                ", ".join(f"{model}: {setup}" for model, setup in setups.items()),
                "write `flatbuffer` at the target, or make a package for each",
            )


def _padded(version: str) -> str:
    return version.zfill(4) if re.fullmatch(r"[0-9a-fA-F]{1,3}", version) else "0001"


def warn_unused(manifest: Manifest, packages: Mapping[str, Package], problems: Problems) -> None:
    """Models and targets that no package asks for."""
    if not packages:
        problems.warn(
            "MB003",
            "there are no packages: nothing is built",
            tree.place(manifest.tree, ("packages",)),
            "add `packages: {NAME: {target: TARGET}}`",
        )
        return
    wanted = {
        "models": {model.name for package in packages.values() for model in package.models},
        "targets": {package.target for package in packages.values()},
    }
    for section, found in wanted.items():
        for name in names(manifest, section):
            if name not in found and complete(manifest, "packages"):
                at = tree.place(manifest.tree, (section, name), of_key=True)
                problems.warn(
                    "MB004", f"no package has the {section[:-1]} `{name}`", at, "add it to one, or remove it"
                )
