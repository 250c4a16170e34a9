"""A fixed-point model for several pictures a run: dimension 0 of every tensor is made wider.

Every operator that is let through computes each row of dimension 0 by itself, so that the widened model makes
of stacked inputs the stacked outputs, bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from modelbuild.arithmetic.fixed_model import FixedModel, FixedOperator, Parameter, QuantizedTensor
from modelbuild.graph.check import Finding

CODE = "MB114"
METADATA = "batch"  # of a widened model: the dimension 0 that it had


@dataclass(frozen=True)
class Batched:
    """The model for `achieved` pictures a run: the model's own number where `reasons` stand in the way."""

    model: FixedModel
    achieved: int
    reasons: tuple[Finding, ...] = ()


@dataclass(frozen=True)
class _Obstacle(Exception):
    """Why an operator does not keep dimension 0."""

    what: str
    advice: str


@dataclass(frozen=True)
class _Step:
    """An operator and its operands; `own` is the model's dimension 0, `wanted` the new one."""

    operator: FixedOperator
    inputs: tuple[QuantizedTensor, ...]
    output: QuantizedTensor
    batched: frozenset[str]
    own: int
    wanted: int

    def parameter(self, name: str) -> Any:
        return self.operator.parameters[name]

    def varies(self, index: int) -> bool:
        """Whether an input depends on the pictures."""
        return self.operator.inputs[index] in self.batched


# What of a step changes: its parameters, and which of its constant inputs are repeated for each picture.
Change = tuple[dict[str, Parameter], tuple[str, ...]]
_SAME: Change = ({}, ())
_FIRST = "keep the batch in dimension 0 of every tensor when the model is exported"


def own_batch(model: FixedModel) -> int | None:
    """Dimension 0 of the model's inputs; None where they differ or one has none."""
    found = {model.tensors[name].shape[:1] for name in model.inputs}
    return next(iter(found))[0] if len(found) == 1 and () not in found else None


def widen(model: FixedModel, wanted: int) -> Batched:
    """The model with dimension 0 of `wanted`, or as it is and a finding for each node that stands in the way.

    Pure; shares weights with `model`. `wanted` is at least 1."""
    own = own_batch(model)
    if own is None:
        shapes = ", ".join(f"`{name}` {list(model.tensors[name].shape)}" for name in model.inputs)
        message = f"the inputs have no batch in common: {shapes}"
        return Batched(model, 1, (Finding(CODE, "warning", message, _FIRST),))
    if own == wanted:
        return Batched(model, own)
    widening = _Widening(model, own, wanted)
    for operator in model.operators:
        widening.take(operator)
    if widening.reasons:
        return Batched(model, own, tuple(widening.reasons))
    return Batched(widening.result(), wanted)


class _Widening:
    """The walk over the operators, in the order of execution."""

    def __init__(self, model: FixedModel, own: int, wanted: int) -> None:
        self.model, self.own, self.wanted = model, own, wanted
        self.batched = set(model.inputs)
        self.operators: list[FixedOperator] = []
        self.repeated: dict[str, str] = {}  # a constant -> its copy for all pictures
        self.reasons: list[Finding] = []

    def take(self, operator: FixedOperator) -> None:
        """Adds the widened operator, or the reason why there is none."""
        if not self.batched & set(operator.inputs):
            self.operators.append(operator)  # of constants alone
            return
        self.batched |= set(operator.outputs)
        try:
            parameters, repeated = self._change(operator)
        except _Obstacle as found:
            node = operator.origin[0] if operator.origin else operator.name
            message = f"`{node}` ({operator.kind}) {found.what}"
            self.reasons.append(Finding(CODE, "warning", message, found.advice, node))
            return
        self.repeated |= {name: f"{name}/batch" for name in repeated}
        inputs = tuple(self.repeated[name] if name in repeated else name for name in operator.inputs)
        parameters = {**operator.parameters, **parameters}
        self.operators.append(replace(operator, inputs=inputs, parameters=parameters))

    def _change(self, operator: FixedOperator) -> Change:
        tensors = self.model.tensors
        inputs = tuple(tensors[name] for name in operator.inputs)
        for name in operator.outputs:
            if tensors[name].shape[:1] != (self.own,):
                before, after = list(inputs[0].shape), list(tensors[name].shape)
                raise _Obstacle(f"folds dimension 0: {before} becomes {after}", _FIRST)
        rule = _RULES.get(operator.kind)
        if rule is None:
            raise _Obstacle("is no operator that is known to keep dimension 0", _FIRST)
        output, batched = tensors[operator.outputs[0]], frozenset(self.batched)
        return rule(_Step(operator, inputs, output, batched, self.own, self.wanted))

    def result(self) -> FixedModel:
        """The widened model."""
        tensors = {
            name: self._wide(tensor) if name in self.batched else tensor
            for name, tensor in self.model.tensors.items()
        }
        constants = dict(self.model.constants)
        for name, copy in self.repeated.items():
            tensors[copy] = self._wide(replace(self.model.tensors[name], name=copy))
            constants[copy] = np.repeat(self.model.constants[name], self.wanted, axis=0)
        metadata = {**self.model.metadata, METADATA: str(self.own)}
        return replace(
            self.model,
            tensors=tensors,
            constants=constants,
            operators=tuple(self.operators),
            metadata=metadata,
        )

    def _wide(self, tensor: QuantizedTensor) -> QuantizedTensor:
        return replace(tensor, shape=(self.wanted, *tensor.shape[1:]))


def _row_by_row(step: _Step) -> Change:
    return _SAME


def _broadcast(step: _Step) -> Change:
    """What depends on the pictures must reach to dimension 0, what does not must not."""
    rank = len(step.output.shape)
    for index, tensor in enumerate(step.inputs):
        if step.varies(index):
            if len(tensor.shape) != rank or tensor.shape[0] != step.own:
                raise _Obstacle(f"puts the batch of {list(tensor.shape)} behind dimension 0", _FIRST)
        elif len(tensor.shape) == rank and tensor.shape[0] != 1:
            raise _constant(tensor)
    return _SAME


def _constant(tensor: QuantizedTensor) -> _Obstacle:
    return _Obstacle(
        f"has a constant with dimension 0: `{tensor.name}` {list(tensor.shape)}",
        "give the constant a dimension 0 of 1, which serves every picture",
    )


def _matmul(step: _Step) -> Change:
    """Of two matrices the rows of the first stay rows; batches of matrices are broadcast."""
    if len(step.output.shape) > 2:
        return _broadcast(step)
    if step.varies(1):
        raise _Obstacle(
            f"multiplies by a matrix that depends on the picture: {list(step.inputs[1].shape)}", _FIRST
        )
    return _SAME


def _axes(step: _Step) -> Change:
    if 0 in step.parameter("axes"):
        raise _Obstacle("reduces dimension 0", _FIRST)
    return _SAME


def _axis(step: _Step) -> Change:
    if step.parameter("axis") == 0:
        raise _Obstacle("works along dimension 0", _FIRST)
    return _SAME


def _concat(step: _Step) -> Change:
    """A constant part is repeated for every picture."""
    _axis(step)
    constant = [tensor for index, tensor in enumerate(step.inputs) if not step.varies(index)]
    if constant and step.own != 1:
        raise _constant(constant[0])
    return {}, tuple(tensor.name for tensor in constant)


def _reshape(step: _Step) -> Change:
    if step.inputs[0].shape[:1] != (step.own,):
        raise _Obstacle(
            f"folds dimension 0: {list(step.inputs[0].shape)} becomes {list(step.output.shape)}", _FIRST
        )
    return {"shape": (step.wanted, *step.parameter("shape")[1:])}, ()


def _transpose(step: _Step) -> Change:
    if step.parameter("perm")[0] != 0:
        raise _Obstacle(f"moves dimension 0: perm {list(step.parameter('perm'))}", _FIRST)
    return _SAME


def _slice(step: _Step) -> Change:
    starts, ends, steps = (step.parameter(name) for name in ("starts", "ends", "steps"))
    if starts[0] != 0 or ends[0] != step.own or (steps[0] != 1 and step.own != 1):
        raise _Obstacle("cuts dimension 0", _FIRST)
    return {"ends": (step.wanted, *ends[1:]), "steps": (1, *steps[1:])}, ()


def _pad(step: _Step) -> Change:
    if step.parameter("before")[0] or step.parameter("after")[0]:
        raise _Obstacle("pads dimension 0", _FIRST)
    return _SAME


_RULES: Mapping[str, Callable[[_Step], Change]] = {
    "conv": _row_by_row,
    "gemm": _row_by_row,
    "max_pool": _row_by_row,
    "average_pool": _row_by_row,
    "resize_linear": _row_by_row,
    "prelu": _row_by_row,
    "rescale": _row_by_row,
    "table": _row_by_row,
    "curve": _row_by_row,
    "add": _broadcast,
    "multiply": _broadcast,
    "matmul": _matmul,
    "reduce_sum": _axes,
    "reduce_max": _axes,
    "softmax": _axis,
    "gather": _axis,
    "concat": _concat,
    "reshape": _reshape,
    "transpose": _transpose,
    "slice": _slice,
    "pad": _pad,
}
