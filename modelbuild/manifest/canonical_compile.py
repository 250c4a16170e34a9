"""`compile:` -> its one canonical form: what differs from the defaults, where the chip has a choice. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelbuild.chips.recipe import Recipe
from modelbuild.errors import Problem
from modelbuild.formats.nef_generations import FLATBUFFER, has_choice
from modelbuild.manifest.merge import Leaf, Tree
from modelbuild.stages import backends

_SRAM = "sram_bytes"
_ONE = 1  # inference a run, which is what programs do that have no batch
DEFAULTS: Mapping[str, Any] = {
    "dedicated_output_buffer": True,
    "tiling": "default",
    "weight_compress": False,
}


# Why a compiler that does not obey an option has nothing to do with it.
_WHY: Mapping[str, str] = {
    "batch": "a kmodel takes the pictures that the model itself takes: dimension 0 of its inputs",
    "dedicated_output_buffer": "outputs of a kmodel lie in memory of their own, always",
    _SRAM: "its programs run on a CPU, without memory on the chip",
    "tiling": "no map is cut there: a layer lies in the memory on the chip whole, or runs on the CPU",
    "weight_compress": "the weights in a kmodel are not compressed",
}


def canonical_compile(options: Tree, recipe: Recipe, problems: list[Problem]) -> Tree:
    """The options that say something. What the chip has no choice of is a problem."""
    found: Tree = {}
    for key, leaf in sorted(options.items()):
        assert isinstance(leaf, Leaf)
        says_nothing = leaf.value is None or (key in DEFAULTS and leaf.value == DEFAULTS[key])
        says_nothing |= key == "batch" and leaf.value == _ONE and key not in _obeyed(recipe)
        if not says_nothing and key in _WHY and key not in _obeyed(recipe):
            problems.append(_without_meaning(key, leaf, recipe))
        elif key in _OF_CHIPS and leaf.value is not None:
            found |= _OF_CHIPS[key](leaf, recipe, problems)
        elif says_nothing:
            continue
        else:
            found[key] = leaf
    return found


def unsaid(options: Mapping[str, Any], recipe: Recipe) -> dict[str, Any]:
    """Key below `compile:` -> what holds where these canonical options do not have it."""
    found: dict[str, Any] = {**DEFAULTS, _SRAM: int(recipe.hardware.sram_bytes.value)}
    if has_choice(recipe.container.platform):
        found[FLATBUFFER] = recipe.container.setup == FLATBUFFER
    known = _obeyed(recipe)
    return {key: value for key, value in found.items() if key not in options and key in known}


def _obeyed(recipe: Recipe) -> frozenset[str]:
    return backends.of_arithmetic(recipe.number_format.arithmetic).options


def _without_meaning(key: str, leaf: Leaf, recipe: Recipe) -> Problem:
    written = str(leaf.value).lower() if isinstance(leaf.value, bool) else leaf.value
    named = leaf.spelling or f"`{key}: {written}`"
    return Problem(f"{named} is not possible on {recipe.chip}", leaf.origin, _WHY[key], "remove it")


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


def _sram_bytes(leaf: Leaf, recipe: Recipe, problems: list[Problem]) -> Tree:
    has = int(recipe.hardware.sram_bytes.value)
    if leaf.value == has:
        return {}
    if leaf.value < has:
        return {_SRAM: leaf}
    problems.append(
        Problem(
            f"`sram_bytes: {leaf.value}` is more than {recipe.chip} has",
            leaf.origin,
            f"its memory on the chip has {has:,} bytes",
            f"write {has} or less, or remove it: the chip's own is the default",
        )
    )
    return {}


_OF_CHIPS = {FLATBUFFER: _flatbuffer, _SRAM: _sram_bytes}
