"""Which chips can do what one cannot, for advice. Recipes are read only where something is wrong already."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from modelbuild.chips.load import chip_names, load_recipe
from modelbuild.chips.recipe import NumberFormat, Recipe


@cache
def _recipes() -> tuple[Recipe, ...]:
    return tuple(map(load_recipe, chip_names()))


def another_chip(recipe: Recipe, can: Callable[[NumberFormat], bool]) -> str:
    """ "choose another chip: kl530 and mlsoc can"; nothing where none can."""
    found = [one.chip for one in _recipes() if one.chip != recipe.chip and can(one.number_format)]
    if not found:
        return ""
    listed = found[0] if len(found) == 1 else f"{', '.join(found[:-1])} and {found[-1]}"
    return f"choose another chip: {listed} can"


def joined(*ways: str) -> str:
    """The ways out that there are."""
    return ", or ".join(filter(None, ways))
