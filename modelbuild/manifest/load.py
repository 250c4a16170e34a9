"""models.yaml -> Manifest: read, validate, check. Everything that is wrong is one error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from modelbuild.chips.load import load_recipe
from modelbuild.chips.recipe import Recipe
from modelbuild.errors import ModelbuildError
from modelbuild.graph.codes import covers
from modelbuild.manifest import (
    checks,
    checks_of_encryption,
    checks_of_fixed,
    checks_of_functions,
    checks_of_included,
    checks_of_layers,
    checks_of_packages,
    checks_of_quantization,
    checks_of_samples,
    checks_of_sources,
    ignored,
    include,
    overrides,
    select,
    tree,
)
from modelbuild.manifest.explain import validate
from modelbuild.manifest.manifest import Manifest
from modelbuild.manifest.model import Root
from modelbuild.manifest.packages import expand
from modelbuild.manifest.problems import Problems
from modelbuild.manifest.samples import Sets
from modelbuild.manifest.settings import Examiner, Settings, recipe_settings
from modelbuild.manifest.tree import Position


def load(
    path: Path,
    set_options: Sequence[str] = (),
    *,
    selected: Sequence[str] = (),
    needs_samples: bool = True,
    text: str | None = None,
) -> Manifest:
    """The manifest at `path` and all that it includes, with the settings of `--set KEY=VALUE` laid on top of
    what is `selected` (packages, models, MODEL@TARGET), on everything if nothing is. Raises one
    `ModelbuildError` of everything that is wrong, in the order of the file. Where samples are not needed,
    because a lock stands for them, their files are not looked at, and need not be there. With a `text` that
    is read as the manifest, and there need be no file at `path`."""
    problems = Problems()
    path = path.absolute()
    sources = include.read(path, problems, text)
    checked = validate(Root, sources.tree, problems)
    set_values = overrides.read(set_options, problems)
    if checked.value is None:
        problems.raise_any()
        raise AssertionError("a manifest that cannot be read has a problem")
    spec = checked.value
    manifest = Manifest(path, sources.files, sources.tree, spec, {}, {}, {}, set_values, checked.left_out)
    recipes = _recipes(manifest, problems)
    manifest = replace(
        manifest,
        recipes={target: recipe for target, (recipe, _) in recipes.items()},
        recipe_settings={target: settings for target, (_, settings) in recipes.items()},
    )
    packages = expand(spec.packages, spec.models)
    checks_of_packages.check_packages(manifest, packages, problems)
    keys = checks_of_encryption.check_encryption(manifest, packages, problems)
    manifest = replace(manifest, packages={package.name: package for package in packages}, keys=keys)
    manifest = replace(manifest, overridden=select.pairs(manifest, selected))
    examined = _check(manifest, problems, needs_samples)
    problems.raise_any()
    entries = ignored.of_defaults(spec.defaults)
    silent = {one for one in problems.warnings if any(covers(e, one.to_json()) for e in entries)}
    return replace(
        manifest,
        warnings=tuple(one for one in problems.warnings if one not in silent),
        ignored=tuple(one for one in problems.warnings if one in silent),
        included=sources.patterns,
        examined=examined,
    )


def _recipes(manifest: Manifest, problems: Problems) -> dict[str, tuple[Recipe, dict[str, Any]]]:
    """The recipe of each target, and its settings."""
    found: dict[str, tuple[Recipe, dict[str, Any]]] = {}
    read: dict[tuple[str, str | None], Recipe] = {}  # as written: targets often share a chip
    for name, target in manifest.spec.targets.items():
        at = tree.place(manifest.tree, ("targets", name, "chip"))
        key = target.chip, target.edition
        try:
            recipe = read.get(key) or load_recipe(target.chip, manifest.root)
        except ModelbuildError as error:
            if _knows_place(error):
                problems.keep_all(error.problems)
            else:
                problems.adopt(error, at)
            continue
        if target.edition is not None and key not in read:
            try:
                recipe = load_recipe(target.chip, manifest.root, target.edition).settled()
            except ModelbuildError as error:
                problems.adopt(error, tree.place(manifest.tree, ("targets", name, "edition")))
                continue
        try:
            read[key] = recipe
            found[name] = recipe, recipe_settings(recipe)
        except ModelbuildError as error:
            problems.adopt(error, at)
    return found


def _knows_place(error: ModelbuildError) -> bool:
    return all(":" in problem.where for problem in error.problems)


def _check(manifest: Manifest, problems: Problems, needs_samples: bool) -> dict[tuple[str, str], Settings]:
    """Everything that no single entry shows; returns the settings of each model and target in use."""
    checks.check_references(manifest, problems)
    checks.check_environment_values(manifest, problems)
    checks.check_toolchains(manifest, problems)
    checks_of_sources.check_sources(manifest, problems)
    checks_of_functions.check_functions(manifest, problems)
    checks_of_samples.check_preprocessing(manifest, problems)
    sets = Sets(manifest)
    if needs_samples:
        checks_of_samples.check_sets(manifest, sets, problems)
    examiner = Examiner(manifest)
    for target in manifest.recipes:
        problems.keep_all(examiner.examine(None, target).problems)
    used = {pair: examiner.examine(*pair) for pair in _used(manifest)}
    before = problems.count
    for settings in used.values():
        problems.keep_all(settings.problems)
        _tell_notes(settings, problems)
        checks_of_fixed.check_fixed(manifest, settings, problems)
        checks_of_quantization.check_goal(settings, problems)
        if needs_samples:
            checks_of_samples.check_use(manifest, settings, sets, problems)
            checks_of_functions.check_measures(manifest, settings, problems)
    checks_of_packages.check_setups(manifest, used, problems)
    checks_of_included.check_included(manifest, used, problems)
    if not manifest.overrides:
        checks_of_layers.warn_overridden(manifest, examiner, used, problems)
    if sum(bool(manifest.laid_on(*pair)) for pair in used) > 1:
        problems.advise(before, f"{overrides.OPTION} ", overrides.ACTS_ON)
    checks_of_packages.warn_unused(manifest, manifest.packages, problems)
    return used


def _tell_notes(settings: Settings, problems: Problems) -> None:
    """Vendors' names that stand in a file; those of `--set` and of recipes have no place to tell."""
    for note in settings.notes:
        place = Position.of(note.origin)
        if place is not None:
            problems.note("MB011", note.what, place, note.advice)


def _used(manifest: Manifest) -> list[tuple[str, str]]:
    """The pairs that packages need or models have settings for, whose model and target could be read."""
    own = [(name, target) for name, model in manifest.spec.models.items() for target in model.targets]
    return [
        (model, target)
        for model, target in dict.fromkeys((*manifest.pairs(), *own))
        if model in manifest.spec.models and target in manifest.recipes
    ]
