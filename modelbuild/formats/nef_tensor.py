"""A tensor as a NEF describes it, and the codes for how its integers lie in memory."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from modelbuild.errors import ModelbuildError


@dataclass(frozen=True)
class NefTensor:
    """real = integer / (scale * 2^radix); zero point 0.

    `shape` is NCHW (or any rank where the setup has room for it). `address` in a source is the byte offset
    in the model's input or output buffer; in a file that was read it is the number the setup holds.
    `format` is a code of `LAYOUTS`. `size` is in bytes.

    The rest is what FlatBuffer setups and KNE blocks say beyond: `npu_shape` has the axes in the NPU's order,
    `points` every (scale, radix), one a channel where there are several, `location` the buffer in which the
    address counts, `strides` the bytes from one element of an axis to the next, `constant_size` the bytes of
    a constant that stands in the setup.
    """

    name: str
    shape: tuple[int, ...]
    format: int
    radix: int
    scale: float
    address: int
    size: int
    npu_shape: tuple[int, ...] = ()
    points: tuple[tuple[float, int], ...] = ()
    location: str = ""
    aligned_size: int | None = None
    strides: tuple[int, ...] = ()
    constant_size: int = 0


# Format codes by platform, from the setup readers of the vendor's kneron_plus 2.3.0; 730's are the
# toolchain's `input_fmt` table (0.33.1).
_KL530 = {0: "1W16C8B", 2: "4W4C8B", 4: "16W1C8B", 6: "8W1C16B"}
_KL730 = {
    0: "1W16C8B_CH_COMPACT",
    1: "1W16C8BHL_CH_COMPACT",
    2: "4W4C8B",
    3: "4W4C8BHL",
    4: "16W1C8B",
    5: "16W1C8BHL",
    6: "8W1C16B",
    7: "PS_1W16C24B",
    8: "1W16C8B",
    9: "1W16C8BHL",
    10: "HW4C8B_KEEP_A",
    11: "HW4C8B_DROP_A",
    12: "HW1C8B",
    13: "HW1C16B_LE",
    14: "HW1C16B_BE",
    100: "RAW8",
    102: "RAW16",
    103: "RAW_FLOAT",
}
LAYOUTS: dict[str, dict[int, str]] = {
    "520": {8: "16W1C8B", 16: "4W4C8B"},
    "720": {0: "1W16C8B", 4: "4W4C8B", 5: "16W1C8B", 6: "8W1C16B"},
    "530": _KL530,
    "540": _KL730,
    "630": _KL530,
    "730": _KL730,
}
# Planar layouts by platform and bits: what a program of modelbuild's writes into a setup. RAW is dense, as
# modelbuild's tensors are; the other platforms' tables have planes with padded rows only.
_PLANAR = {
    "520": {8: 8},
    "720": {8: 5, 16: 6},
    "530": {8: 4, 16: 6},
    "540": {8: 100, 16: 102},
    "630": {8: 4, 16: 6},
    "730": {8: 100, 16: 102},
}
_INPUTS = {"520": 16}  # 4W4C8B, the only one; the header has no word for it
# nWmCbB: columns in groups of n, channels in groups of m, b bits; both filled up to whole groups.
_GROUPED = re.compile(r"(\d+)W(\d+)C(\d+)B")
_ROWS = {"4W4C8B": 16}  # rows are whole numbers of so many columns, where that is more (observed on KL520)
_DENSE = {"RAW8": 8, "RAW16": 16, "RAW_FLOAT": 32}


def layout_name(platform: str, code: int) -> str:
    """The vendor's name of a format code, or `unknown (n)`."""
    return LAYOUTS.get(platform, {}).get(code, f"unknown ({code})")


def input_format(platform: str, bits: int) -> int:
    """The code that a program of modelbuild's gives for an input: the only one of the platform, or planar."""
    return _INPUTS.get(platform) or planar_format(platform, bits)


def planar_format(platform: str, bits: int) -> int:
    """The code of the platform's planar layout for integers of `bits` bits."""
    code = _PLANAR.get(platform, {}).get(bits)
    if code is None:
        raise ModelbuildError(f"platform {platform} has no planar layout of {bits} bits")
    return code


def geometry(shape: Sequence[int]) -> tuple[int, int, int]:
    """(channel, row, column) of a shape: NCHW as it is, fewer axes with 1 for what is missing, more axes with
    everything after the third folded into the columns. The batch axis must be 1 to be exact."""
    padded = (*shape, *[1] * (4 - len(shape)))
    if len(shape) == 3:  # N, C, W
        return padded[1], 1, padded[2]
    return padded[1], padded[2], math.prod(padded[3:])


def layout_bytes(platform: str, code: int, shape: Sequence[int]) -> int:
    """How many bytes a tensor takes in a layout, its padding included; one a number in unknown ones."""
    name = layout_name(platform, code)
    grouped = _GROUPED.fullmatch(name)
    if not grouped:
        return math.prod(shape) * _DENSE.get(name, 8) // 8
    columns, channels, bits = (int(number) for number in grouped.groups())
    columns = _ROWS.get(name, columns)
    channel, row, column = geometry(shape)
    batch = shape[0] if shape else 1
    return batch * _whole(channel, channels) * row * _whole(column, columns) * bits // 8


def _whole(size: int, group: int) -> int:
    return -(-size // group) * group
