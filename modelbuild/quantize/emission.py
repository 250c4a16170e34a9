"""A fixed model while it is being made, whatever its number system: names, tensors, constants, operators."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NoReturn

from numpy.typing import NDArray

from modelbuild.arithmetic.fixed_model import FixedOperator, Parameter, QuantizedTensor
from modelbuild.errors import EXIT_FAILED, ModelbuildError
from modelbuild.graph.model import Graph, Node
from modelbuild.quantize.names import Names
from modelbuild.quantize.plan import Step

INSTEAD = "cut it off with `edit: [{cut: ...}]`, or replace it in the source model"


class Emission(ABC):
    """What builders of operators need of the model that they add to."""

    graph: Graph

    @property
    @abstractmethod
    def step(self) -> Step:
        """The nodes that are being built."""

    @property
    def node(self) -> Node:
        """The leading node of the step."""
        return self.step.node

    @abstractmethod
    def tensor(self, name: str) -> QuantizedTensor:
        """An input of the step."""

    @abstractmethod
    def output(self, index: int = 0) -> QuantizedTensor:
        """An output of the step, declared on first use."""

    @abstractmethod
    def between(self, like: QuantizedTensor, shape: tuple[int, ...], role: str) -> QuantizedTensor:
        """A tensor that no node of the graph has, in the number format of `like`."""

    @abstractmethod
    def emit(
        self,
        kind: str,
        inputs: Sequence[QuantizedTensor],
        output: QuantizedTensor,
        parameters: Mapping[str, Parameter],
        constants: Mapping[str, NDArray[Any]] | None = None,
    ) -> None:
        """Append an operator; its constants are named after it."""

    def fail(self, why: str, advice: str = INSTEAD) -> NoReturn:
        """Refuse the node that is being built."""
        raise ModelbuildError(
            f"{self.node.op} cannot be made a fixed-point operator",
            where=f"node {self.node.name!r}",
            why=why,
            advice=advice,
            exit_code=EXIT_FAILED,
        )


class Parts:
    """The tensors, constants and operators of a fixed model, named without clashes."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self.tensors: dict[str, QuantizedTensor] = {}
        self.constants: dict[str, NDArray[Any]] = {}
        self.operators: list[FixedOperator] = []
        self.names = Names(taken)
        self.operator_names = Names()

    def append(
        self,
        operator: FixedOperator,
        constants: Mapping[str, NDArray[Any]] | None = None,
    ) -> None:
        """Append `operator`, which is named after its node, with these constants by role."""
        name = self.operator_names.fresh(operator.name)
        named: dict[str, str] = {}
        for role, values in (constants or {}).items():
            named[role] = self.names.fresh(f"{name}/{role}")
            self.constants[named[role]] = values
        self.operators.append(
            FixedOperator(
                operator.kind,
                name,
                operator.inputs,
                operator.outputs,
                dict(operator.parameters),
                named,
                operator.origin,
                operator.unit,
                operator.fused,
            )
        )

    def drop(self, tensor: str) -> None:
        """Take a tensor out, with the operator that makes it: nothing reads it any more."""
        operator = next(each for each in self.operators if tensor in each.outputs)
        self.operators.remove(operator)
        for name in operator.constants.values():
            del self.constants[name]
        del self.tensors[tensor]


def names_of(graph: Graph) -> list[str]:
    """The names that a graph's tensors have."""
    return [*graph.shapes, *graph.constants, *graph.inputs, *graph.outputs]
