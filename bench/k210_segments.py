"""Activation tables of the K210 beside the vendor's compiler's: `python -m bench.k210_segments`.

Prints the table of docs/benchmarks.md: both fits of the same functions, in the chip's integers, over the range
that the vendor's fit is made for. Ends with 1 where ours is worse, or takes longer than `--most` milliseconds.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
from numpy.typing import NDArray

from bench.table import milliseconds, table
from modelbuild.arithmetic.fixed_model import QuantizedTensor
from modelbuild.kpu.quantizing import Segments, fit_segments

Real = NDArray[np.float64]
Function = Callable[[Real], Real]

SAMPLES, GREEDY = 2048, 15  # of the vendor's compiler: points, and pieces that it merges them to
FACTOR_BITS, MOST_SHIFT = 15, 43
STEP = 2.0**-20  # of the input's, a step of a value
PLACES = 1_000_001
RUNS = 5


def _sigmoid(x: Real) -> Real:
    return np.asarray(1.0 / (1.0 + np.exp(-x)))


# name -> function, range of what the convolution leaves
FUNCTIONS: dict[str, tuple[Function, float, float]] = {
    "silu": (lambda x: x * _sigmoid(x), -8.0, 8.0),
    "silu, narrow": (lambda x: x * _sigmoid(x), -3.0, 4.0),
    "sigmoid": (_sigmoid, -8.0, 8.0),
    "tanh": (np.tanh, -4.0, 4.0),
    "hardswish": (lambda x: x * np.clip(x / 6 + 0.5, 0, 1), -6.0, 8.0),
    "hardsigmoid": (lambda x: np.clip(x / 6 + 0.5, 0, 1), -6.0, 6.0),
    "mish": (lambda x: x * np.tanh(np.logaddexp(0.0, x)), -6.0, 8.0),
    "elu": (lambda x: np.where(x > 0, x, np.exp(np.minimum(x, 0.0)) - 1), -6.0, 6.0),
    "leaky 0.1": (lambda x: np.where(x > 0, x, 0.1 * x), -8.0, 8.0),
    "relu": (lambda x: np.maximum(x, 0.0), -6.0, 10.0),
    "relu6": (lambda x: np.clip(x, 0.0, 6.0), -8.0, 8.0),
    "none": (lambda x: x, -5.0, 7.0),
}


@dataclass(frozen=True)
class Score:
    """Against the rounded function: mean square in steps of the output, and the most; against the function
    itself, what the mean square is above that of rounding."""

    square: float
    worst: int
    added: float


def quantized(low: float, high: float) -> QuantizedTensor:
    """A uint8 tensor of this range and 0."""
    low, high = min(low, 0.0), max(high, 0.0)
    scale = (high - low) / 255
    return QuantizedTensor("", (1,), 8, False, scale, round(-low / scale))


def greedy(function: Function, x: QuantizedTensor, v_scale: float, y: QuantizedTensor) -> Segments:
    """The fit of nncase 1.9: chords between points of the input's range, of which the two neighbours with the
    least difference of slopes become one until 15 are left; each begins at its rounded value and its rounded
    byte. Source: kendryte/nncase at v1.9.0, modules/k210/src/transforms/k210/."""
    points = (np.linspace(0, 255, SAMPLES) - x.zero_point) * x.scale
    ends, values = points.tolist(), function(points).tolist()
    slopes = (np.diff(values) / np.diff(ends)).tolist()
    while len(slopes) > GREEDY:
        place = int(np.abs(np.diff(slopes)).argmin())
        del ends[place + 1], values[place + 1], slopes[place + 1]
        slopes[place] = (values[place + 1] - values[place]) / (ends[place + 1] - ends[place])
    rows = [(-(1 << 35), 0, 0, 0)]
    for start, value, slope in zip(ends, values, slopes, strict=False):
        add = int(np.clip(np.rint(value / y.scale + y.zero_point), 0, 255))
        rows.append((round(start / v_scale), *_fixed(slope * v_scale / y.scale), add))
    starts, factors, shifts, adds = zip(*rows, strict=True)
    return Segments(
        np.array(starts, np.int64),
        np.array(factors, np.int16),
        np.array(shifts, np.uint8),
        np.array(adds, np.uint8),
    )


def _fixed(slope: float) -> tuple[int, int]:
    if not slope:
        return 0, 0
    shift = min(MOST_SHIFT, FACTOR_BITS - math.frexp(slope)[1])
    limit = (1 << FACTOR_BITS) - 1
    return max(-limit, min(limit, round(math.ldexp(slope, shift)))), shift


def score(made: Segments, function: Function, v_scale: float, y: QuantizedTensor, values: Real) -> Score:
    """Of a table, over these values."""
    exact = np.clip(function(values * v_scale) / y.scale + y.zero_point, 0, 255)
    codes, rounded = made.codes(values.astype(np.int64)).astype(np.float64), np.rint(exact)
    off = codes - rounded
    added = np.mean(np.square(codes - exact)) - np.mean(np.square(rounded - exact))
    return Score(float(np.mean(np.square(off))), int(np.abs(off).max()), float(added))


def compared(name: str) -> tuple[Score, Score, float]:
    """Ours, the vendor's, and the seconds that ours takes."""
    function, low, high = FUNCTIONS[name]
    x = quantized(low, high)
    reached = function(np.linspace(low, high, PLACES))
    y = quantized(float(reached.min()), float(reached.max()))
    v_scale = x.scale * STEP
    # Sums may lie outside of the range that was seen: as far again as it is wide.
    ends = int((2 * low - high) / v_scale), int((2 * high - low) / v_scale)
    times = []
    for _ in range(RUNS):
        began = time.process_time()
        ours = fit_segments(function, *ends, v_scale, y)
        times.append(time.process_time() - began)
    values = np.rint(np.linspace(low / v_scale + 1, high / v_scale, PLACES))
    scores = [score(made, function, v_scale, y, values) for made in (ours, greedy(function, x, v_scale, y))]
    return scores[0], scores[1], median(times)


def main(words: Sequence[str] | None = None) -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--most", type=float, default=math.inf, help="milliseconds that a fit may take")
    options = parser.parse_args(words)
    rows, failed = [], False
    for name in FUNCTIONS:
        ours, theirs, seconds = compared(name)
        failed |= ours.square > theirs.square or ours.worst > theirs.worst or ours.added > theirs.added
        failed |= seconds * 1000 > options.most
        figures = [
            *(f"{one.square:.4f}" for one in (ours, theirs)),
            *(f"{max(one.added, 0.0):.4f}" for one in (ours, theirs)),
            *(str(one.worst) for one in (ours, theirs)),
        ]
        rows.append([name, *figures, milliseconds(seconds)])
    head = ["function", "square: ours", "nncase", "added: ours", "nncase", "worst: ours", "nncase", "ms"]
    print("\n".join(table(head, rows)))
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
