"""What every number system demands of a fixed model: names, order, parameters, constants, shapes."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from numpy.typing import NDArray

from modelbuild.arithmetic.binding import Bound, bind
from modelbuild.arithmetic.fixed_model import FixedModel, FixedOperator, Parameter, QuantizedTensor
from modelbuild.arithmetic.operator_shapes import MOST_CELLS, Misfit, need
from modelbuild.errors import EXIT_USER, ModelbuildError


class Kind(Protocol):
    """What is known of a kind of operators: how many inputs, the form of each parameter ("int", "ints",
    "text"), the roles of its constants, and the output's shape."""

    @property
    def inputs(self) -> tuple[int, int]: ...
    @property
    def parameters(self) -> Mapping[str, str]: ...
    @property
    def constants(self) -> Mapping[str, Any]: ...
    @property
    def shape(self) -> Callable[[Bound], tuple[int, ...]]: ...


K = TypeVar("K", bound=Kind)


@dataclass(frozen=True)
class Rules(Generic[K]):
    """A number system: its kinds by name, and what it demands besides; each check raises `Misfit`.

    `tensor` looks at a tensor's format, `values` at a constant that is a tensor, `constant` at one in a role,
    `before` at an operator whose names are known, `after` at one whose shape is right, too."""

    arithmetics: Collection[str]
    kinds: Mapping[str, K]
    tensor: Callable[[QuantizedTensor], None]
    values: Callable[[QuantizedTensor, NDArray[Any]], None]
    constant: Callable[[K, str, NDArray[Any]], None]
    before: Callable[[Bound, K], None]
    after: Callable[[Bound, K], None]


def check(model: FixedModel, rules: Rules[K], exit_code: int = EXIT_USER) -> None:
    """Raise `ModelbuildError` at the first thing that the number system does not allow."""
    where = f"model {model.name!r}"
    try:
        known_systems = " or ".join(repr(name) for name in sorted(rules.arithmetics))
        need(
            model.arithmetic in rules.arithmetics,
            f"the arithmetic {model.arithmetic!r} is not {known_systems}",
        )
        for key, tensor in model.tensors.items():
            where = f"tensor {key!r}"
            _check_tensor(model, key, tensor, rules)
        where = f"model {model.name!r}"
        known = _sources(model)
        for operator in model.operators:
            where = f"operator {operator.name!r} ({operator.kind})"
            _check_operator(model, operator, known, rules)
        where = f"model {model.name!r}"
        for name in model.outputs:
            need(name in known and name not in model.constants, f"nothing makes the output {name!r}")
        need(len(model.outputs) > 0, "there is no output")
    except Misfit as misfit:
        raise ModelbuildError(str(misfit), where=where, exit_code=exit_code) from None


def _sources(model: FixedModel) -> set[str]:
    """Tensors that exist before the first operator."""
    for name in model.inputs:
        need(name in model.tensors, f"the input {name!r} is not among the tensors")
        need(name not in model.constants, f"the input {name!r} is a constant as well")
    return {*model.inputs, *(name for name in model.tensors if name in model.constants)}


def _check_tensor(model: FixedModel, key: str, tensor: QuantizedTensor, rules: Rules[K]) -> None:
    need(tensor.name == key, f"it is called {tensor.name!r}")
    rules.tensor(tensor)
    need(math.isfinite(tensor.scale) and tensor.scale > 0, f"the scale {tensor.scale!r} is not above 0")
    need(tensor.low <= tensor.zero_point <= tensor.high, f"the zero point {tensor.zero_point} does not fit")
    need(all(size > 0 for size in tensor.shape) and len(tensor.shape) <= 8, "every axis must be above 0")
    need(math.prod(tensor.shape) < MOST_CELLS, "it is too large")
    if key in model.constants:
        values = model.constants[key]
        need(values.shape == tensor.shape, "the constant has another shape")
        rules.values(tensor, values)


def _check_operator(model: FixedModel, operator: FixedOperator, known: set[str], rules: Rules[K]) -> None:
    kind = rules.kinds.get(operator.kind)
    if kind is None:
        raise Misfit("there is no such kind of operator")
    need(operator.unit in ("npu", "cpu"), f"the unit {operator.unit!r} is neither npu nor cpu")
    need(kind.inputs[0] <= len(operator.inputs) <= kind.inputs[1], "wrong number of inputs")
    count = getattr(kind, "outputs", 1)
    listed = "one output" if count == 1 else f"{count} outputs"
    need(len(operator.outputs) == count, f"it must have {listed}")
    for name in operator.inputs:
        need(name in known, f"the input {name!r} is not made before")
    for output in operator.outputs:
        need(output in model.tensors, f"the output {output!r} is not among the tensors")
        need(output not in known, f"the output {output!r} is made twice")
        known.add(output)
    _check_parameters(operator.parameters, kind)
    _check_constants(model, operator, kind, rules)
    bound = bind(model, operator)
    rules.before(bound, kind)
    shape = kind.shape(bound)
    for made in (model.tensors[name] for name in operator.outputs):
        need(shape == made.shape, f"it makes {list(shape)}, the tensor is {list(made.shape)}")
    rules.after(bound, kind)


def _check_parameters(parameters: Mapping[str, Parameter], kind: Kind) -> None:
    need(set(parameters) == set(kind.parameters), f"the parameters must be {sorted(kind.parameters)}")
    for name, form in kind.parameters.items():
        value = parameters[name]
        if form == "int":
            need(_is_int(value), f"the parameter {name} must be an integer")
        elif form == "text":
            need(isinstance(value, str), f"the parameter {name} must be a text")
        else:
            listed = isinstance(value, tuple) and all(_is_int(item) for item in value)
            need(listed, f"the parameter {name} must be a list of integers")


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _check_constants(model: FixedModel, operator: FixedOperator, kind: K, rules: Rules[K]) -> None:
    need(set(operator.constants) == set(kind.constants), f"the constants must be {sorted(kind.constants)}")
    for role in kind.constants:
        name = operator.constants[role]
        if name not in model.constants:
            raise Misfit(f"the constant {name!r} ({role}) is missing")
        rules.constant(kind, role, model.constants[name])
