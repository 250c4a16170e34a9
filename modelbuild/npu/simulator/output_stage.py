"""What becomes of accumulators on their way out of the array: bias, multiplier, shift, zero point, bounds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from modelbuild.npu.program import ElementType
from modelbuild.npu.program.setups import ConvolutionSetup
from modelbuild.npu.simulator.memory import DTYPES, Int64
from modelbuild.npu.simulator.scaling import Scaling, check_products, rounding

CACHED = 1 << 17  # elements that are worked on at once


class OutputStage:
    """For each channel `saturate(rescale(sum + bias, multiplier, shift) + output_zero)`."""

    def __init__(self, bias: Int64, scaling: Scaling, peak: int, setup: ConvolutionSetup) -> None:
        """`peak` bounds |sum + bias|; a product that may not fit 64 bits is a ModelbuildError."""
        check_products(peak, scaling)
        columns = scaling.reshape(-1, 1)
        self._multiplier, self._shift = columns.multiplier, columns.shift
        self._addend = bias[:, None] * columns.multiplier + rounding(columns.shift)
        self._zero, self._low, self._high = setup.output_zero, setup.low, setup.high
        self._dtype = DTYPES[ElementType(setup.output_type)]

    def apply(self, sums: NDArray[np.floating]) -> NDArray[np.integer]:
        """[channels, pixels] exact sums -> integers, a few channels at a time."""
        channels, pixels = sums.shape
        result = np.empty(sums.shape, self._dtype)
        step = max(1, CACHED // pixels)
        for first in range(0, channels, step):
            some = slice(first, first + step)
            values = sums[some].astype(np.int64)
            values *= self._multiplier[some]
            values += self._addend[some]
            values >>= self._shift[some]
            if self._zero:
                values += self._zero
            result[some] = values.clip(self._low, self._high, out=values)
        return result
