"""What many actions of one plan have in common, made once and held once: recipes, samples, versions."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

from modelbuild.artifacts.user_function import files_of
from modelbuild.chips.load import recipes_digest
from modelbuild.chips.recipe import Recipe
from modelbuild.manifest.libraries import version
from modelbuild.manifest.manifest import Manifest
from modelbuild.manifest.samples import Chosen, Sets
from modelbuild.stages.report import template_digests
from modelbuild.stages.request import Samples, UserFunction


class Shared:
    """Lasts for one plan: the next may find other files, libraries and recipes."""

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest
        self._sets = Sets(manifest)
        self._recipes: dict[int, dict[str, Any]] = {}  # by the identity of what the manifest keeps alive
        self._samples: dict[int, tuple[Chosen, Samples]] = {}
        self._libraries: dict[tuple[str, ...], dict[str, str]] = {}
        self._functions: dict[str, UserFunction] = {}

    def recipe(self, target: str) -> dict[str, Any]:
        """The recipe of a target as actions' parameters take it."""
        recipe = self._manifest.recipes[target]
        if id(recipe) not in self._recipes:
            self._recipes[id(recipe)] = recipe_json(recipe)
        return self._recipes[id(recipe)]

    def calibration(self, settings: Mapping[str, Any], inputs: Sequence[str]) -> Samples | None:
        """The samples that ranges are observed on. Raises ModelbuildError for samples that are not there."""
        return self._given(self._sets.calibration(settings, inputs))

    def evaluation(self, settings: Mapping[str, Any], inputs: Sequence[str]) -> Samples | None:
        """The samples that accuracy is measured on. Raises as `calibration`."""
        return self._given(self._sets.evaluation(settings, inputs))

    def function(self, spec: str) -> UserFunction:
        """A function of the user's, with the files that it is made of as they are now."""
        if spec not in self._functions:
            self._functions[spec] = UserFunction(spec, files_of(spec, self._manifest.root))
        return self._functions[spec]

    def libraries(self, module: ModuleType, *about: Any) -> dict[str, str]:
        """The versions of the libraries that a stage names, of all that it does or of this model."""
        own = getattr(module, "libraries", None)
        names: tuple[str, ...] = own(*about) if own else module.LIBRARIES
        found = self._libraries.get(names)
        if found is None:
            found = self._libraries[names] = {name: version(name) for name in names}
        return found

    @cached_property
    def recipes(self) -> str:
        """The digest of all recipes that are installed."""
        return recipes_digest()

    @cached_property
    def templates(self) -> dict[str, str]:
        """Template of the report -> its digest."""
        return template_digests()

    def _given(self, chosen: Chosen | None) -> Samples | None:
        if chosen is None:
            return None
        if id(chosen) not in self._samples:
            files = tuple(
                {name: _relative(path, self._manifest.root) for name, path in sample.files.items()}
                for sample in chosen.samples.entries
            )
            self._samples[id(chosen)] = (
                chosen,
                Samples(chosen.name, files, chosen.labels, chosen.optimistic),
            )
        return self._samples[id(chosen)][1]


def recipe_json(recipe: Recipe) -> dict[str, Any]:
    """The recipe as JSON values."""
    data: dict[str, Any] = json.loads(recipe.model_dump_json())
    return data


def _relative(path: Path, root: Path) -> str:
    return Path(os.path.relpath(path, root)).as_posix()
