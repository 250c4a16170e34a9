"""`modelbuild config MODEL@TARGET`: effective settings, each with where it came from and what it replaced."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from typing import Any

from modelbuild import api
from modelbuild.chips.recipe import Recipe
from modelbuild.cli import console
from modelbuild.cli.build import SETTING
from modelbuild.manifest import canonical_compile
from modelbuild.manifest.merge import Leaf
from modelbuild.manifest.settings import Settings
from modelbuild.quantize.unsaid import unsaid
from modelbuild.stages import backends

BUILT_IN = "built in"
Row = tuple[str, ...]
Overridden = Mapping[tuple[str, ...], Sequence[Leaf]]
Defaults = Mapping[tuple[str, ...], Any]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    parser.add_argument(
        "name", metavar="MODEL@TARGET|MODEL", help="a model on a target, or on each of its own"
    )
    parser.add_argument("--set", **SETTING)


def run(options: argparse.Namespace) -> int:
    """A line a setting: key, value, origin; below it what was written elsewhere and has no effect."""
    project = api.open_project(options.directory, options.file, options.overrides, selected=[options.name])
    if "@" in options.name:
        found = {options.name.partition("@")[2]: api.config(project, options.name)}
    else:
        found = api.configs(project, options.name)
    replaced = {target: api.overridden(project, settings) for target, settings in found.items()}
    defaults = {
        target: _unsaid(settings, project.manifest.recipes[target]) for target, settings in found.items()
    }
    data = {target: _data(settings, replaced[target], defaults[target]) for target, settings in found.items()}
    if "@" in options.name:
        (one,) = data.values()
        console.result(
            console.table(("setting", "value", "from"), _rows(found, replaced, defaults, False)), one
        )
    else:
        header = ("setting", "value", "from", "target")
        table = console.table(header, _rows(found, replaced, defaults, True))
        console.result(table, {"model": options.name, "targets": data})
    return 0


def _data(settings: Settings, replaced: Overridden, defaults: Defaults) -> dict[str, Any]:
    return {
        "model": settings.model,
        "target": settings.target,
        "settings": settings.values,
        "defaults": {".".join(path): value for path, value in defaults.items()},
        "origins": {".".join(path): origin for path, origin in sorted(settings.origins.items())},
        "overridden": {
            ".".join(path): [{"value": leaf.value, "origin": leaf.origin} for leaf in leaves]
            for path, leaves in sorted(replaced.items())
        },
    }


def _rows(
    found: Mapping[str, Settings],
    replaced: Mapping[str, Overridden],
    defaults: Mapping[str, Defaults],
    several: bool,
) -> list[Row]:
    """The settings of all targets, sorted; what is the same on all of them stands once."""
    lines: dict[tuple[tuple[str, ...], tuple[Row, ...]], list[str]] = {}
    for target, settings in found.items():
        for path in sorted({*settings.origins, *replaced[target], *defaults[target]}):
            block = _block(settings, replaced[target], defaults[target], path)
            lines.setdefault((path, block), []).append(target)
    rows: list[Row] = []
    for (_, block), targets in sorted(lines.items(), key=lambda item: item[0][0]):
        where = "all" if len(targets) == len(found) else ", ".join(targets)
        rows += [(*row, where if not index else "") if several else row for index, row in enumerate(block)]
    return rows


def _block(
    settings: Settings, replaced: Overridden, defaults: Defaults, path: tuple[str, ...]
) -> tuple[Row, ...]:
    others = replaced.get(path, ())
    if path in settings.origins:
        first = [(".".join(path), _text(_at(settings.values, path)), settings.origins[path])]
        return (*first, *(("  instead of", _text(leaf.value), leaf.origin) for leaf in others))
    if path in defaults:
        origin = next((leaf.origin for leaf in others if leaf.value == defaults[path]), BUILT_IN)
        return ((".".join(path), _text(defaults[path]), origin),)
    return tuple((f"{'.'.join(path)} (no effect)", _text(leaf.value), leaf.origin) for leaf in others)


def _unsaid(settings: Settings, recipe: Recipe) -> Defaults:
    """Settings that are not among the effective ones, since they have their defaults."""
    rules = ((rule.op, rule.unit) for rule in recipe.operators)
    quantizes = backends.of_arithmetic(recipe.number_format.arithmetic).has_record
    quantize = unsaid(settings.values["quantize"], rules) if quantizes else {}
    compile_ = canonical_compile.unsaid(settings.values["compile"], recipe)
    return {
        **{("compile", key): value for key, value in compile_.items()},
        **{("quantize", key): value for key, value in quantize.items()},
    }


def _text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _at(values: object, path: tuple[str, ...]) -> object:
    for key in path:
        assert isinstance(values, Mapping)
        values = values[key]
    return values
