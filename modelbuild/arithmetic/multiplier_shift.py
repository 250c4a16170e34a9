"""Runs fixed models of `multiplier_shift@1` exactly: the same bits on any CPU, thread count or BLAS."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from numpy.typing import NDArray

from modelbuild.arithmetic import convolution, elementwise, movement, pooling, reduction
from modelbuild.arithmetic.binding import Bound, Kernel
from modelbuild.arithmetic.checking import check
from modelbuild.arithmetic.executing import Session
from modelbuild.arithmetic.fixed_model import FixedModel, Integers
from modelbuild.arithmetic.validation import RULES

KERNELS: dict[str, Callable[[Bound], Kernel]] = {
    "conv": convolution.conv,
    "gemm": convolution.gemm,
    "matmul": convolution.matmul,
    "add": elementwise.add,
    "multiply": elementwise.multiply,
    "rescale": elementwise.rescale,
    "prelu": elementwise.prelu,
    "table": elementwise.table,
    "curve": elementwise.curve,
    "max_pool": pooling.max_pool,
    "average_pool": pooling.average_pool,
    "reduce_sum": reduction.reduce_sum,
    "reduce_max": reduction.reduce_max,
    "softmax": reduction.softmax,
    "concat": movement.concat,
    "reshape": movement.reshape,
    "transpose": movement.transpose,
    "slice": movement.slice_axes,
    "pad": movement.pad,
    "gather": movement.gather,
    "resize_linear": movement.resize_linear,
}


class FixedSession(Session):
    """A model of `multiplier_shift@1`, validated, with its kernels prepared; run it as often as needed."""

    def __init__(self, model: FixedModel) -> None:
        check(model, RULES)
        super().__init__(model, KERNELS)


def run(
    model: FixedModel, inputs: Mapping[str, NDArray[Any]], keep: Literal["outputs", "all"] = "outputs"
) -> dict[str, Integers]:
    """Run the model once; see `Session`."""
    return FixedSession(model).run(inputs, keep)
