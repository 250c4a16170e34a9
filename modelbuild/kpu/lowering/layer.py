"""One KPU layer as builders describe it: integer weights, the function and the pool behind them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from modelbuild.arithmetic.fixed_model import Integers, Parameter, QuantizedTensor
from modelbuild.kpu.lowering.functions import Function
from modelbuild.quantize.plan import Step

LayerIntegers = tuple[Mapping[str, Parameter], Mapping[str, Integers]]  # parameters, constants


class Codes(NamedTuple):
    """Integer weights [O, I, k, k] (int8, symmetric), a scale and a bias (in steps of the input's scale times
    the weights') an output channel."""

    weight: NDArray[np.integer]
    scales: NDArray[np.float64]
    bias: NDArray[np.integer]


class Trim(NamedTuple):
    """What of a layer's cells is the output: the shape that the layer leaves, and the first cell and the
    steps along every axis."""

    made: tuple[int, ...]
    starts: tuple[int, ...]
    steps: tuple[int, ...]


class Layer(NamedTuple):
    """A layer that was emitted: what it reads, what it is, and for which nodes it stands."""

    x: QuantizedTensor
    codes: Codes
    function: Function
    pool: str
    depthwise: bool
    step: Step
    integers: LayerIntegers | None = None  # where they are worked out already
    raw: bool = False  # of codes, whatever they stand for: around the map is 0

    def part(self, span: slice) -> Layer:
        """Of some output channels."""
        weight, scales, bias = self.codes
        return self._replace(codes=Codes(weight[span], scales[span], bias[span]), integers=None)
