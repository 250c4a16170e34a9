"""Selectors on the command line (PACKAGE, MODEL, MODEL@TARGET) -> what to build."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from modelbuild.errors import ModelbuildError, Problem
from modelbuild.manifest.manifest import Manifest
from modelbuild.manifest.problems import nearest


@dataclass(frozen=True, order=True)
class PackageGoal:
    """One package, by its expanded name."""

    package: str


@dataclass(frozen=True, order=True)
class ModelGoal:
    """One model on one target."""

    model: str
    target: str


Goal = PackageGoal | ModelGoal


def select(manifest: Manifest, selectors: Sequence[str]) -> tuple[Goal, ...]:
    """The goals, each once, in the order asked for; every package if nothing was asked.

    A name that is a package and a model is the package. A package written with `targets:` can be named as
    written (all of them) or as expanded. MODEL stands for each target that a package has the model on, and
    for every target if none has. Every unknown name is reported, with the nearest one."""
    if not selectors:
        return tuple(PackageGoal(name) for name in manifest.packages)
    goals: list[Goal] = []
    problems: list[Problem] = []
    for selector in selectors:
        found = _goals(manifest, selector)
        if isinstance(found, Problem):
            problems.append(found)
        else:
            goals += found
    if problems:
        raise ModelbuildError.of(problems)
    return tuple(dict.fromkeys(goals))


def pairs(manifest: Manifest, selectors: Sequence[str]) -> frozenset[tuple[str, str]] | None:
    """(model, target) of all that the selectors name, packages' models too; None where nothing is named, or
    a name is unknown."""
    try:
        goals = select(manifest, selectors)
    except ModelbuildError:
        return None
    if not selectors:
        return None
    found: set[tuple[str, str]] = set()
    for goal in goals:
        if isinstance(goal, ModelGoal):
            found.add((goal.model, goal.target))
        else:
            package = manifest.packages[goal.package]
            found.update((model.name, package.target) for model in package.models)
    return frozenset(found)


def _goals(manifest: Manifest, selector: str) -> list[Goal] | Problem:
    if "@" in selector:
        return _pair(manifest, selector)
    packages: list[Goal] = [
        PackageGoal(name) for name, package in manifest.packages.items() if selector in (name, package.entry)
    ]
    if packages:
        return packages
    if selector in manifest.spec.models:
        targets = [target for model, target in manifest.pairs() if model == selector]
        return [ModelGoal(selector, target) for target in targets or manifest.spec.targets]
    entries = {package.entry for package in manifest.packages.values()}
    known = [*manifest.packages, *entries, *manifest.spec.models]
    return Problem(
        f"no package and no model is called `{selector}`", advice=nearest(selector, known, "names")
    )


def _pair(manifest: Manifest, selector: str) -> list[Goal] | Problem:
    model, _, target = selector.partition("@")
    if model not in manifest.spec.models:
        return Problem(
            f"`{selector}`: no model is called `{model}`",
            advice=nearest(model, manifest.spec.models, "models"),
        )
    if target not in manifest.spec.targets:
        return Problem(
            f"`{selector}`: no target is called `{target}`",
            advice=nearest(target, manifest.spec.targets, "targets"),
        )
    return [ModelGoal(model, target)]
