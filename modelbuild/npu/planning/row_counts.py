"""How far an operator comes with the rows that there are of an input, for all steps of a run at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from modelbuild.npu.planning.halo import Named, Reach, Same, Whole, Window

Rows = NDArray[np.int64]
NOBODY = 1 << 40  # a row beyond all


def possible(found: Reach, come: Rows, rows: int) -> Rows:
    """How many of `rows` rows of output can be computed when so many rows of the input are there."""
    match found:
        case Same():
            return come
        case Whole(height):
            return np.where(come >= height, rows, 0)
        case Window(height, span, stride, pad_top, step):
            some = np.clip((come * step + pad_top - span) // stride + 1, 0, rows)
            return np.where(come >= height, rows, some)
        case Named(_, highs):
            highest: Rows = np.maximum.accumulate(np.array(highs, np.int64))
            many: Rows = np.searchsorted(highest, come, side="right")
            return many


def lowest(found: Reach, done: Rows, rows: int) -> Rows:
    """The lowest row of the input that is needed once so many rows of output are computed."""
    match found:
        case Same():
            return done
        case Whole(_):
            return np.zeros_like(done)
        case Window(height, _, stride, pad_top, step):
            first: Rows = -(-np.maximum(0, done * stride - pad_top) // step)
            return np.minimum(height, first)
        case Named(lows, _):
            behind: Rows = np.minimum.accumulate(np.array([*lows, NOBODY], np.int64)[::-1])[::-1]
            needed: Rows = behind[np.minimum(done, rows)]
            return needed
