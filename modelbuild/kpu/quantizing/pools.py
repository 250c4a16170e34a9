"""What the KPU's pools do to the bytes before them, and how a table makes up for it."""

from __future__ import annotations

import numpy as np

from modelbuild.kpu.quantizing.segments import Segments

# A mean of n bytes is rounded down: it loses (n - 1) / 2n steps if all remainders are as frequent.
MEAN_LOSS = {"mean_2_s1": 3 / 8, "mean_2_s2": 3 / 8, "mean_4_s4": 15 / 32}


def lost_by(pool: str) -> float:
    """Steps of the output that a pool takes off in the mean: what `fit_segments` is to add to the function.

    Lines begin that much earlier. Where the function is constant, as a Relu's 0, whole steps are all that a
    table could add: it stays, and a mean of equal bytes loses nothing."""
    return MEAN_LOSS.get(pool, 0.0)


def is_rising(segments: Segments, low: int, high: int) -> bool:
    """Whether the bytes never fall from `low` to `high`: then the largest of some bytes is the byte of the
    largest value, and max pools may stand before or behind the table."""
    ends = [int(start) for start in segments.start if low <= start < high]
    places = np.array(sorted({low, high, *ends, *(end + 1 for end in ends)}), np.int64)
    codes = segments.codes(places).astype(np.int64)
    number = np.searchsorted(segments.start, places[1:], side="left") - 1
    falls = (segments.multiplier[number] < 0) & (codes[1:] != codes[:-1])
    return bool((np.diff(codes) >= 0).all() and not falls.any())
