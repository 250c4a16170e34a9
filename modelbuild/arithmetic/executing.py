"""Runs a fixed model operator by operator with the kernels of its number system."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from modelbuild.arithmetic.binding import Bound, bind
from modelbuild.arithmetic.fixed_model import FixedModel, QuantizedTensor
from modelbuild.errors import ModelbuildError

Values = NDArray[Any]
Kernel = Callable[..., Values]
BUFFER = 1 << 10  # elements


class Session:
    """A model with its kernels prepared; run it as often as needed. The model has been validated."""

    def __init__(self, model: FixedModel, kernels: Mapping[str, Callable[[Bound], Kernel]]) -> None:
        self.model = model
        self._steps = [(op, kernels[op.kind](bind(model, op))) for op in model.operators]
        self._last_use = {name: i for i, op in enumerate(model.operators) for name in op.inputs}

    def run(
        self, inputs: Mapping[str, Values], keep: Literal["outputs", "all"] = "outputs"
    ) -> dict[str, Values]:
        """Integers in, integers out (float32 where a tensor is floating): the model's outputs, or every
        tensor that is not a constant."""
        model = self.model
        live: dict[str, Values] = {
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

    def _execute(self, live: dict[str, Values], keep: str) -> None:
        wanted = set(self.model.outputs)
        for index, (operator, kernel) in enumerate(self._steps):
            made = kernel(*(live[name] for name in operator.inputs))
            several = isinstance(made, tuple)  # of an operator with more than one output
            live.update(zip(operator.outputs, made if several else (made,), strict=True))
            if keep == "outputs":
                for name in operator.inputs:
                    if self._last_use[name] == index and name not in wanted:
                        live.pop(name, None)


@contextmanager
def short_buffers() -> Iterator[None]:
    """numpy copies an operand that it broadcasts along lines shorter than its buffer; with a buffer shorter
    than most lines it does not, and factors a channel take half the time. Results do not depend on it."""
    before = np.setbufsize(BUFFER)
    try:
        yield
    finally:
        np.setbufsize(before)


def _checked(values: Values, tensor: QuantizedTensor) -> Values:
    array = np.asarray(values)
    taken = "floats" if tensor.floating else "integers"
    if array.shape != tensor.shape or array.dtype.kind not in ("f" if tensor.floating else "iu"):
        raise ModelbuildError(
            f"the input {tensor.name!r} takes {taken} of shape {list(tensor.shape)}",
            why=f"it was given {array.dtype} of shape {list(array.shape)}",
        )
    if tensor.floating:
        return array.astype(np.float32)
    if array.size and (int(array.min()) < tensor.low or int(array.max()) > tensor.high):
        raise ModelbuildError(
            f"the input {tensor.name!r} takes integers from {tensor.low} to {tensor.high}",
            why=f"it was given {array.min()} to {array.max()}",
        )
    return array.astype(tensor.dtype)
