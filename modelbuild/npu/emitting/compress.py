"""Packs constants losslessly: codec `short` of docs/program-format.md."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

WIDTHS = range(8)  # bits that a short byte may take


def pack_short(data: bytes) -> bytes | None:
    """`data` in codec `short` with the width that makes it shortest, or None where none makes it shorter."""
    values = np.frombuffer(data, np.int8)
    width, size = _best_width(values)
    if size >= len(data):
        return None
    is_short = _fits(values, width)
    packed = b"".join(
        (
            bytes([width]),
            np.packbits(is_short, bitorder="little").tobytes(),
            _bits(values[is_short], width),
            values[~is_short].tobytes(),
        )
    )
    assert len(packed) == size
    return packed


def _fits(values: NDArray[np.int8], width: int) -> NDArray[np.bool_]:
    """Which values are numbers of `width` bits in two's complement; of none, only 0 is."""
    half = (1 << width) >> 1
    return np.logical_and(values >= -half, values < max(half, 1))


def _best_width(values: NDArray[np.int8]) -> tuple[int, int]:
    """The width, and the bytes of the whole with it; the smaller of two that are equally good."""
    found = np.bincount(values.view(np.uint8), minlength=256)
    numbers = np.arange(256, dtype=np.uint8).view(np.int8)
    sizes = []
    for width in WIDTHS:
        short = int(found[_fits(numbers, width)].sum())
        sizes.append((1 + -(-len(values) // 8) + -(-short * width // 8) + len(values) - short, width))
    size, width = min(sizes)
    return width, size


def _bits(values: NDArray[np.int8], width: int) -> bytes:
    """The lowest `width` bits of each value, one after another, the least significant first."""
    bits = np.unpackbits(values.view(np.uint8)[:, None], axis=1, bitorder="little", count=width)
    return np.packbits(bits, bitorder="little").tobytes()
