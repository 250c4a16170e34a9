"""Checks of a package's `include:`: NEFs of the same chip, generation and machine, no id twice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from modelbuild.errors import ModelbuildError
from modelbuild.formats.nef_generations import FLATBUFFER, chosen
from modelbuild.manifest import tree
from modelbuild.manifest.manifest import Manifest
from modelbuild.manifest.packages import Package
from modelbuild.manifest.problems import Problems
from modelbuild.manifest.settings import Settings
from modelbuild.manifest.tree import Position

if TYPE_CHECKING:
    from modelbuild.formats.nef_objects import Nef


def check_included(
    manifest: Manifest, settings: Mapping[tuple[str, str], Settings], problems: Problems
) -> None:
    """All that is wrong with the files that packages include, at the place that names each."""
    read: dict[str, Nef | ModelbuildError] = {}
    for package in manifest.packages.values():
        if not package.include:
            continue
        recipe = manifest.recipes.get(package.target)
        if recipe is not None and recipe.container.format != "nef":
            problems.error(
                f"{recipe.container.format} packages include no files",
                tree.place(manifest.tree, ("packages", package.entry, "include"), of_key=True),
                advice="remove `include`",
            )
            continue
        owners = {
            model.id: (tree.place(manifest.tree, (*model.path, "id")), f"the model {model.name}")
            for model in package.models
            if model.id is not None
        }
        for index, path in enumerate(package.include):
            at = tree.place(manifest.tree, ("packages", package.entry, "include", index))
            if path not in read:
                read[path] = _read(manifest, path)
            found = read[path]
            if isinstance(found, ModelbuildError):
                problems.adopt(found, at)
                continue
            _check_kind(manifest, package, path, found, settings, at, problems)
            _check_programs(path, found, at, problems)
            for model in found.models:
                other = owners.setdefault(model.id, (at, path))
                if other != (at, path):
                    problems.error(
                        f"{other[1]} and {path} have the same id {model.id}",
                        at,
                        f"the other is at {other[0]}; firmware picks a model by its id",
                        f"give one another id: modelbuild nef set {path} --id {model.id}=NEW -o OUT.nef",
                    )


def _read(manifest: Manifest, path: str) -> Nef | ModelbuildError:
    from modelbuild.artifacts import nef_input  # for manifests that include files alone
    from modelbuild.formats import nef

    try:
        found = nef_input.read(manifest.root / path, path)
        nef.check(found, path)
    except ModelbuildError as error:
        return error
    return found


def _check_programs(path: str, found: Nef, at: Position, problems: Problems) -> None:
    """Whether the simulator of today reads the programs."""
    from modelbuild.npu.program import interface  # for manifests that include files alone

    for model in found.models if not found.silicon and not found.encrypted else ():
        try:
            interface(model.command)
        except ModelbuildError as error:
            problem = error.problems[0]
            problems.error(
                f"the program of model {model.id} in {path} cannot be packaged",
                at,
                ": ".join(part for part in (problem.what, problem.why) if part),
                problem.advice or "build its package again, and include that",
            )


def _check_kind(
    manifest: Manifest,
    package: Package,
    path: str,
    found: Nef,
    settings: Mapping[tuple[str, str], Settings],
    at: Position,
    problems: Problems,
) -> None:
    recipe = manifest.recipes.get(package.target)
    if found.encrypted:
        problems.error(
            f"{path} is encrypted by the vendor's tool", at, "it cannot be combined", "name others"
        )
    elif found.silicon:
        problems.error(
            f"{path} holds a vendor's programs, and the package has modelbuild's own",
            at,
            "a chip runs the one and the simulator the other: together neither would run the package",
            "combine the vendor's files with `modelbuild nef combine`",
        )
    elif recipe is not None and found.chip != recipe.container.platform:
        problems.error(
            f"{path} is for {found.target}, the package for {recipe.chip}",
            at,
            "the models of a file run on one chip",
            f"include files for {recipe.chip}, or make a package for {found.target} as well",
        )
    elif recipe is not None:
        asked = (settings.get((model.name, package.target)) for model in package.models)
        setups = {
            chosen(
                recipe.container.platform,
                recipe.container.setup,
                one.values["compile"].get(FLATBUFFER) if one is not None else None,
            )
            for one in asked
        }
        if setups and found.generation not in setups:
            problems.error(
                f"{path} is of the generation {found.generation}, the package {', '.join(sorted(setups))}",
                at,
                "one file has setups of one generation",
                "compile its models again, or write `compile: {flatbuffer: false}` for old ones of KL720",
            )
