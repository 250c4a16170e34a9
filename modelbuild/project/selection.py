"""Selectors -> packages and pairs of model and target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from modelbuild.manifest import select as selectors
from modelbuild.manifest.manifest import Manifest
from modelbuild.manifest.select import ModelGoal, PackageGoal


@dataclass(frozen=True)
class Selection:
    """What was asked for: packages as wholes, and models on targets by themselves."""

    packages: tuple[str, ...]
    pairs: tuple[tuple[str, str], ...]


def select(manifest: Manifest, names: Sequence[str]) -> Selection:
    """The selection; every package, or without packages every model on every target, if nothing is named."""
    goals = selectors.select(manifest, names)
    if not goals:
        return Selection((), manifest.pairs())
    return Selection(
        tuple(goal.package for goal in goals if isinstance(goal, PackageGoal)),
        tuple((goal.model, goal.target) for goal in goals if isinstance(goal, ModelGoal)),
    )
