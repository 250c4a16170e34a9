"""What works channel by channel, equalisation and division, held against what it cannot go with."""

from __future__ import annotations

from modelbuild.errors import Problem
from modelbuild.manifest.merge import Leaf, Tree

_MOVING = "moving_average"


def problems_of_channels(chosen: Tree, method: str) -> list[Problem]:
    """Of settings below `quantize:` as they were chosen, with a range method."""
    found = []
    equalize, split, mode = (chosen.get(key) for key in ("equalize", "split", "mode"))
    moving = method == _MOVING
    if isinstance(equalize, Leaf) and equalize.value and moving:
        found.append(
            Problem(
                f"{_named('equalize', equalize)} is not possible with moving averages",
                equalize.origin,
                "ranges of single samples are known of the tensors as they are, not as they would be scaled",
                "choose another range method, or remove it",
            )
        )
    if isinstance(split, Leaf) and split.value and (moving or isinstance(mode, Leaf)):
        other = _named("mode", mode) if isinstance(mode, Leaf) else "moving averages"
        found.append(
            Problem(
                f"{_named('split', split)} is not possible with {other}",
                split.origin,
                "ranges and bits are chosen for the tensors as they are, not for their parts",
                "remove one of the two",
            )
        )
    return found


def _named(key: str, leaf: Leaf) -> str:
    value = str(leaf.value).lower() if isinstance(leaf.value, bool) else leaf.value
    return leaf.spelling or f"`{key}: {value}`"
