"""Packed constants -> bytes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from modelbuild.npu.simulator.memory import failure

Bytes = NDArray[np.uint8]
_LANES = 8  # short values that fill whole bytes together


def unpack_short(stored: Bytes, length: int) -> Bytes:
    """`length` bytes of the codec `short`: a width, a bit for each byte that tells the short ones, those in
    that many bits each, the others as they are. Anything else is a ModelbuildError."""
    mask_end = 1 + -(-length // 8)
    if len(stored) < mask_end or stored[0] > 7:
        raise failure("packed constants are cut off, or of an unknown width")
    width = int(stored[0])
    flags = np.unpackbits(stored[1:mask_end], bitorder="little")
    count = int(np.count_nonzero(flags[:length]))
    short_end = mask_end + -(-count * width // 8)
    if flags[length:].any() or len(stored) != short_end + length - count:
        raise failure("packed constants do not unpack to their length")
    is_short = flags[:length].view(np.bool_)
    result = np.empty(length, np.uint8)
    result[is_short] = _short_values(stored[mask_end:short_end], count, width)
    result[~is_short] = stored[short_end:]
    return result


def _short_values(packed: Bytes, count: int, width: int) -> Bytes:
    """Two's complement numbers of `width` bits, least significant bit first, eight at a time."""
    if not width or not count:
        return np.zeros(count, np.uint8)
    groups = -(-count // _LANES)
    padded = np.zeros(groups * width, np.uint8)
    padded[: len(packed)] = packed
    words = np.zeros((groups, 8), np.uint8)
    words[:, :width] = padded.reshape(groups, width)
    lanes = np.arange(_LANES, dtype=np.uint64) * np.uint64(width)
    values = (words.view("<u8") >> lanes).astype(np.uint8) & np.uint8((1 << width) - 1)
    flat = values.reshape(-1)
    if flat[count:].any():
        raise failure("packed constants do not end with zeros")
    sign = np.uint8(1 << (width - 1))
    short: Bytes = (flat[:count] ^ sign) - sign
    return short
