"""Packs constants losslessly: codec `short` of docs/program-format.md."""

from __future__ import annotations


def pack_short(data: bytes) -> bytes | None:
    """`data` in codec `short`, or None where that is not shorter."""
    return None
