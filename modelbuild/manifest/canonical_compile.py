"""`compile:` -> its one canonical form: what differs from the defaults, where the chip has a choice. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelbuild.chips.recipe import Recipe
from modelbuild.errors import Problem
from modelbuild.formats.nef_generations import FLATBUFFER, has_choice
from modelbuild.manifest.merge import Leaf, Tree

DEFAULTS: Mapping[str, Any] = {
    "dedicated_output_buffer": True,
    "tiling": "default",
    "weight_compress": False,
}


def canonical_compile(options: Tree, recipe: Recipe, problems: list[Problem]) -> Tree:
    """The options that say something. What the chip has no choice of is a problem."""
    found: Tree = {}
    for key, leaf in sorted(options.items()):
        assert isinstance(leaf, Leaf)
        if key == FLATBUFFER:
            found |= _flatbuffer(leaf, recipe, problems)
        elif leaf.value is None or (key in DEFAULTS and leaf.value == DEFAULTS[key]):
            continue
        else:
            found[key] = leaf
    return found


def unsaid(options: Mapping[str, Any], recipe: Recipe) -> dict[str, Any]:
    """Key below `compile:` -> what holds where these canonical options do not have it."""
    found: dict[str, Any] = {**DEFAULTS, "sram_bytes": int(recipe.hardware.sram_bytes.value)}
    if has_choice(recipe.container.platform):
        found[FLATBUFFER] = recipe.container.setup == FLATBUFFER
    return {key: value for key, value in found.items() if key not in options}


def _flatbuffer(leaf: Leaf, recipe: Recipe, problems: list[Problem]) -> Tree:
    container = recipe.container
    if leaf.value == (container.setup == FLATBUFFER):
        return {}
    if has_choice(container.platform):
        return {FLATBUFFER: leaf}
    written = "true" if leaf.value else "false"
    problems.append(
        Problem(
            f"`flatbuffer: {written}` is not possible on {recipe.chip}",
            leaf.origin,
            f"its packages are {container.format}, whose setup has one form there: {container.setup}",
            "remove it",
        )
    )
    return {}
