"""The manifest as loaded: what was written, where, and the recipes of its targets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelbuild.chips.recipe import Recipe
from modelbuild.manifest.model import Root
from modelbuild.manifest.overrides import Override
from modelbuild.manifest.packages import Package
from modelbuild.manifest.tree import Mapping as Tree
from modelbuild.manifest.tree import Path as KeyPath
from modelbuild.manifest.tree import place

if TYPE_CHECKING:
    from modelbuild.graph.check import Finding
    from modelbuild.manifest.settings import Settings
    from modelbuild.stages.request import PackageKeys


@dataclass(frozen=True)
class Manifest:
    """`spec` holds the entries as written; `packages` are expanded to one target each; `left_out` are the
    paths of wrong keys, empty in every manifest that `load` returns."""

    path: Path
    files: tuple[Path, ...]  # the manifest and what it includes
    tree: Tree
    spec: Root
    recipes: Mapping[str, Recipe]  # target -> recipe
    recipe_settings: Mapping[str, Mapping[str, Any]]  # target -> the recipe's `defaults`
    packages: Mapping[str, Package]
    overrides: tuple[Override, ...] = ()
    left_out: tuple[KeyPath, ...] = ()
    warnings: tuple[Finding, ...] = ()
    ignored: tuple[Finding, ...] = ()  # warnings that `defaults` does not want to hear of
    included: tuple[str, ...] = ()  # the patterns of every `include:`
    examined: Mapping[tuple[str, str], Settings] = field(default_factory=dict)  # (model, target) -> settings
    keys: Mapping[str, PackageKeys] = field(default_factory=dict)  # of packages that are encrypted
    overridden: frozenset[tuple[str, str]] | None = None  # (model, target) that `overrides` act on; None: all

    @property
    def root(self) -> Path:
        """The folder that the manifest's paths are relative to."""
        return self.path.parent

    @property
    def secrets(self) -> tuple[str, ...]:
        """The names of the environment variables that hold keys, sorted."""
        return tuple(sorted({name for keys in self.keys.values() for name in keys.sources.variables}))

    def position(self, path: KeyPath) -> str:
        """`models.yaml:12:7` of the value at `path`, such as ("models", "face_detect", "source"); of the
        nearest thing around it that is written, if it is not."""
        return str(place(self.tree, path))

    def laid_on(self, model: str, target: str) -> tuple[Override, ...]:
        """The settings of `--set` for a model on a target."""
        return self.overrides if self.overridden is None or (model, target) in self.overridden else ()

    def pairs(self) -> tuple[tuple[str, str], ...]:
        """(model, target) of all that packages need; every model on every target if there is no package."""
        if not self.packages:
            return tuple((model, target) for model in self.spec.models for target in self.spec.targets)
        listed = (
            (model.name, package.target) for package in self.packages.values() for model in package.models
        )
        return tuple(dict.fromkeys(listed))
