"""Looking up answers that depend on one byte."""

from __future__ import annotations

import numpy as np

from modelbuild.arithmetic.binding import Kernel
from modelbuild.arithmetic.fixed_model import Integers, QuantizedTensor


def looked_up(entries: Integers, x: QuantizedTensor) -> Kernel:
    """The kernel that answers an integer of `x`, which has 8 bits, with the entry of its rank [256]."""
    by_byte = np.roll(entries, x.low)  # byte 0x80, the smallest signed value, comes last of the two halves

    def wide(values: Integers) -> Integers:
        return by_byte[np.ascontiguousarray(values).view(np.uint8)]

    if entries.itemsize > 1:
        return wide
    answers = by_byte.tobytes()

    def bytewise(values: Integers) -> Integers:
        out = np.empty(values.shape, entries.dtype)
        # several times as fast as an index array, which widens every byte to eight
        out.reshape(-1)[...] = np.frombuffer(values.tobytes().translate(answers), entries.dtype)
        return out

    return bytewise


def tabulated(answer: Kernel, x: QuantizedTensor) -> Kernel:
    """The element-wise kernel `answer` as a table of its 256 answers where `x` has 8 bits."""
    if x.bits > 8:
        return answer
    return looked_up(answer(np.arange(x.low, x.high + 1).astype(x.dtype)), x)
