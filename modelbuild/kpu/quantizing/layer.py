"""All integers of one KPU layer from those of its weights and the function behind it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelbuild.arithmetic.fixed_model import Integers, Parameter, QuantizedTensor
from modelbuild.kpu.quantizing.batch_norm import batch_norm
from modelbuild.kpu.quantizing.expected import expected
from modelbuild.kpu.quantizing.pools import lost_by
from modelbuild.kpu.quantizing.segments import Function, fit_segments
from modelbuild.kpu.quantizing.target import falls
from modelbuild.kpu.quantizing.weights import sum_bounds, unsigned_weights


def layer_constants(
    weight: NDArray[Any],
    scales: NDArray[np.float64],
    bias: NDArray[Any],
    x: QuantizedTensor,
    y: QuantizedTensor,
    function: Function,
    *,
    depthwise: bool = False,
    pool: str = "bypass",
) -> tuple[dict[str, Parameter], dict[str, Integers]]:
    """Parameters and constants of a `kpu_conv` that makes y = pool(function(x * weights + bias)).

    `weight` signed bytes [O, I, k, k] ([C, 1, k, k] depthwise), `scales` [O], `bias` [O] in steps of the
    input's scale times the weights'. `function` on float64, element by element, from what the convolution
    leaves to y, both in real units.
    Errors: ModelbuildError for numbers that the KPU does not hold.
    """
    bytes_ = unsigned_weights(weight, x.zero_point)
    sums, factors = sum_bounds(weight, x.zero_point), x.scale * scales
    real = bias.astype(np.float64) * factors
    ends = [end * factors + real for end in sums]
    down = falls(function, float(min(ends[0].min(), ends[1].min())), float(max(e.max() for e in ends)), y)
    norm = batch_norm(sums, factors, real, y.scale, down)
    seen = expected(weight, factors, real, x.zero_point)
    table = fit_segments(function, norm.low, norm.high, norm.v_scale, y, seen, lost_by(pool))
    parameters: dict[str, Parameter] = {
        "kernel": weight.shape[2],
        "depthwise": int(depthwise),
        "pool": pool,
        **bytes_.parameters(),
    }
    return parameters, {"weight": bytes_.weight, **norm.constants(), **table.constants()}
