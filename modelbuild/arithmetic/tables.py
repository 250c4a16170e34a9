"""Looking up answers that depend on one integer of 8 or 16 bits."""

from __future__ import annotations

import numpy as np

from modelbuild.arithmetic.binding import Kernel
from modelbuild.arithmetic.fixed_model import Integers, QuantizedTensor


def looked_up(entries: Integers, x: QuantizedTensor) -> Kernel:
    """The kernel that answers an integer of `x` with the entry of its rank [256, or 65,536 of 16 bits]."""
    by_place = np.roll(entries, x.low)  # 0x80.., the smallest signed value, comes last of the two halves
    place = f"u{x.bits // 8}"

    def wide(values: Integers) -> Integers:
        return np.take(by_place, np.ascontiguousarray(values).view(place))

    if entries.itemsize > 1 or x.bits > 8:
        return wide
    answers = by_place.tobytes()

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
