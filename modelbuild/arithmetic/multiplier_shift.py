"""Runs fixed models of `multiplier_shift@1` exactly: the same bits on any CPU, thread count or BLAS."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from modelbuild.arithmetic import convolution, elementwise, movement, pooling, reduction
from modelbuild.arithmetic.binding import Bound, Kernel, bind
from modelbuild.arithmetic.fixed_model import FixedModel, Integers, QuantizedTensor
from modelbuild.arithmetic.validation import validate
from modelbuild.errors import ModelbuildError

BUFFER = 1 << 10  # elements
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


class FixedSession:
    """A validated model with its kernels prepared; run it as often as needed."""

    def __init__(self, model: FixedModel) -> None:
        validate(model)
        self.model = model
        self._steps = [(op, KERNELS[op.kind](bind(model, op))) for op in model.operators]
        self._last_use = {name: i for i, op in enumerate(model.operators) for name in op.inputs}

    def run(
        self, inputs: Mapping[str, NDArray[Any]], keep: Literal["outputs", "all"] = "outputs"
    ) -> dict[str, Integers]:
        """Integers in, integers out: the model's outputs, or every tensor that is not a constant."""
        model = self.model
        live: dict[str, Integers] = {
            name: model.constants[name] for name in model.tensors if name in model.constants
        }
        constant = set(live)
        for name in model.inputs:
            if name not in inputs:
                raise ModelbuildError(f"the input {name!r} is missing", why=f"given: {sorted(inputs)}")
            live[name] = _checked(inputs[name], model.tensors[name])
        with short_buffers():
            self._execute(live, keep)
        if keep == "outputs":
            return {name: live[name] for name in model.outputs}
        return {name: value for name, value in live.items() if name not in constant}

    def _execute(self, live: dict[str, Integers], keep: str) -> None:
        wanted = set(self.model.outputs)
        for index, (operator, kernel) in enumerate(self._steps):
            live[operator.outputs[0]] = kernel(*(live[name] for name in operator.inputs))
            if keep == "outputs":
                for name in operator.inputs:
                    if self._last_use[name] == index and name not in wanted:
                        live.pop(name, None)


def run(
    model: FixedModel, inputs: Mapping[str, NDArray[Any]], keep: Literal["outputs", "all"] = "outputs"
) -> dict[str, Integers]:
    """Run the model once; see `FixedSession`."""
    return FixedSession(model).run(inputs, keep)


@contextmanager
def short_buffers() -> Iterator[None]:
    """numpy copies an operand that it broadcasts along lines shorter than its buffer; with a buffer shorter
    than most lines it does not, and factors a channel take half the time. Results do not depend on it."""
    before = np.setbufsize(BUFFER)
    try:
        yield
    finally:
        np.setbufsize(before)


def _checked(values: NDArray[Any], tensor: QuantizedTensor) -> Integers:
    array = np.asarray(values)
    if array.shape != tensor.shape or array.dtype.kind not in "iu":
        raise ModelbuildError(
            f"the input {tensor.name!r} takes integers of shape {list(tensor.shape)}",
            why=f"it was given {array.dtype} of shape {list(array.shape)}",
        )
    if array.size and (int(array.min()) < tensor.low or int(array.max()) > tensor.high):
        raise ModelbuildError(
            f"the input {tensor.name!r} takes integers from {tensor.low} to {tensor.high}",
            why=f"it was given {array.min()} to {array.max()}",
        )
    return array.astype(tensor.dtype)
