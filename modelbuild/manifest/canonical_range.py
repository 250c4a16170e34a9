"""Merged `range:` settings -> their one canonical form. Pure."""

from __future__ import annotations

from modelbuild.errors import Problem
from modelbuild.manifest.merge import Leaf, Tree
from modelbuild.quantize.settings import METHOD_OPTIONS, OPTION_DEFAULTS

BUILT_IN = "built in"


def canonical_range(given: Tree, wide: bool) -> tuple[Tree, list[Problem]]:
    """The method with those of its options that differ from their defaults (`percentile` is always there).
    `wide`: whether any tensor may have 16 bits."""
    method = given["method"]
    assert isinstance(method, Leaf)
    problems: list[Problem] = []
    chosen: Tree = {"method": method}
    if method.value not in METHOD_OPTIONS:
        named = method.spelling or f"`method: {method.value}`"
        built = ", ".join(METHOD_OPTIONS)
        return chosen, [Problem(f"{named} is not built yet", method.origin, "", f"choose one of {built}")]
    for key, leaf in sorted(given.items()):
        assert isinstance(leaf, Leaf)
        if key == "method":
            continue
        if key not in METHOD_OPTIONS[method.value]:
            problems.append(_meaningless(key, leaf, method))
        elif leaf.value != OPTION_DEFAULTS.get(key):
            chosen[key] = leaf
    if method.value == "percentile":
        problems += _percentiles(chosen, wide)
    return chosen, problems


def _percentiles(chosen: Tree, wide: bool) -> list[Problem]:
    """Both shares, of which the one for 16 bits stays only where it says something of its own. One that
    nobody wrote rises to the other."""
    usual = chosen.setdefault("percentile", Leaf(OPTION_DEFAULTS["percentile"], BUILT_IN))
    wider = chosen.get("percentile_16bit")
    assert isinstance(usual, Leaf)
    if not isinstance(wider, Leaf):
        return []
    rises = wider.implied and wider.value < usual.value
    if not wide or rises or wider.value == usual.value:
        del chosen["percentile_16bit"]
    if rises or wider.value >= usual.value:
        return []
    than = "the `percentile` that goes with it" if usual.implied else usual.spelling or "`percentile`"
    least = usual.value / 100 if wider.spelling else usual.value  # the vendor's spelling is a share
    return [
        Problem(
            f"{wider.spelling or '`percentile_16bit`'} is less than {than}",
            wider.origin,
            "tensors of 16 bits have more steps, and hold at least as many of the values",
            f"write at least {least:g}",
        )
    ]


def _meaningless(key: str, leaf: Leaf, method: Leaf) -> Problem:
    fits = next(name for name, options in METHOD_OPTIONS.items() if key in options)
    return Problem(
        f"{leaf.spelling or f'`{key}`'} has no meaning for the range method {method.value}",
        leaf.origin,
        f"the method is set at {method.origin}"
        if method.origin != BUILT_IN
        else "that is the method built in",
        f"write `method: {fits}` beside it, or remove it",
    )
