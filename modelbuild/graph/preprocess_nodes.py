"""Nodes that preprocessing in the model has inserted: how they are known, and what to do without them."""

from __future__ import annotations

from collections.abc import Sequence

ORIGIN = ".preprocess"  # behind the input's name: the origin of what is inserted


def is_inserted(origin: Sequence[str]) -> bool:
    """Whether a node of this origin is one of them."""
    return bool(origin) and all(name.endswith(ORIGIN) for name in origin)


def mend(op: str, origin: Sequence[str]) -> str:
    """What to write into the manifest so that a node is not inserted; nothing where the source has it."""
    if not is_inserted(origin):
        return ""
    name = origin[0].removesuffix(ORIGIN)
    of_layout = f"write `input_layout: NCHW` for `{name}`"
    return of_layout if op == "Transpose" else f"preprocess `{name}` before the chip (without `in_model`)"
