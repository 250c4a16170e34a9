"""`modelbuild chips`: the chips, or one recipe with its sources."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator

from modelbuild import api
from modelbuild.chips.recipe import Container
from modelbuild.cli import console
from modelbuild.stages.backends import of_arithmetic

_LARGE = 100_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    parser.add_argument("chip", nargs="?", help="a chip's name, or the path of a recipe")


def run(options: argparse.Namespace) -> int:
    """A table of all, or the facts of one."""
    if options.chip is not None:
        recipe = api.recipe(options.chip)
        data = json.loads(recipe.model_dump_json())
        known = {name: fact for name, fact in data["hardware"].items() if fact is not None}
        meant = of_arithmetic(recipe.number_format.arithmetic).facts
        facts = [
            (name, _number(fact["value"]), fact["sure"], fact["source"])
            for name, fact in known.items()
            if meant is None or name in meant
        ]
        left = len(known) - len(facts)
        lines = [
            f"{recipe.chip}: {recipe.description}",
            console.table(
                ("fact", "value", "sure", "source"), [*facts, *_of_container(recipe.container)], right=(1,)
            ),
            *([f"{left} facts more, which say nothing of this chip, are in --json"] if left else []),
        ]
        console.result("\n".join(lines), data)
        return 0
    recipes = [api.recipe(name) for name in api.chips()]
    rows = [
        (
            recipe.chip,
            recipe.vendor,
            recipe.container.format,
            recipe.edition,
            ", ".join(recipe.number_format.activations),
            ", ".join(recipe.number_format.weights),
            recipe.number_format.scale,
        )
        for recipe in recipes
    ]
    table = console.table(("chip", "vendor", "package", "edition", "activations", "weights", "scales"), rows)
    listed = [
        {
            "chip": recipe.chip,
            "vendor": recipe.vendor,
            "format": recipe.container.format,
            "edition": recipe.edition,
        }
        for recipe in recipes
    ]
    console.result(table, {"chips": listed})
    return 0


def _of_container(container: Container) -> Iterator[tuple[str, str, str, str]]:
    """What of a package's form a source was given for."""
    for name, said in sorted(container.facts.items()):
        value = getattr(container, name)
        if isinstance(value, bool):
            shown = str(value).lower()
        else:
            shown = f"{value:#x}" if "base" in name else _number(value)
        yield name, shown, said.sure, said.source


def _number(value: float) -> str:
    """All digits before the point; six of small numbers."""
    whole = float(value).is_integer() or abs(value) >= _LARGE
    return f"{value:,.0f}" if whole else f"{value:,.6g}"
