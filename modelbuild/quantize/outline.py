"""The fixed model that `apply` would make, without a number in it: what `evaluate` compiles.

Kinds, shapes, widths, units and order are those of the quantized model, since the same builders make them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelbuild.arithmetic.fixed_model import (
    FixedModel,
    FixedOperator,
    Integers,
    Parameter,
    QuantizedTensor,
)
from modelbuild.chips.recipe import Recipe
from modelbuild.errors import ModelbuildError
from modelbuild.graph import kept_quantization
from modelbuild.graph.model import Array, Graph
from modelbuild.quantize.assembly import Assembly
from modelbuild.quantize.builders import BUILDERS
from modelbuild.quantize.curves import Curve
from modelbuild.quantize.mixed_bits import stated
from modelbuild.quantize.mixed_settings import AUTO, BUDGET
from modelbuild.quantize.number_format import Bits, Formats, bits_of, formats_of
from modelbuild.quantize.plan import Plan, Step, make_plan
from modelbuild.quantize.ports import port_tensor
from modelbuild.quantize.record import Record
from modelbuild.quantize.settings import Settings
from modelbuild.quantize.tables import Function
from modelbuild.quantize.weighted import Weighted, weighted

OPAQUE = "opaque"  # the kind of what has no fixed-point form: parameters `operator` and `reason`
NOWHERE = "none"  # the unit of a node that nothing runs
SEGMENT_BITS = 10  # of a curve, whose finer or coarser segments only numbers decide
_ONE = (1, 0)  # a multiplier and shift that change nothing
_OTHER = (3, 1)  # and of a tensor whose scale is another
# What a builder may say of a graph that the checks refuse.
_FAILURES = (ModelbuildError, ArithmeticError, AssertionError, LookupError, TypeError, ValueError)


def outline(
    graph: Graph, units: Mapping[str, str], recipe: Recipe, settings: Settings | None = None
) -> FixedModel:
    """The model of a lowered graph with scale 1 everywhere, and zeros that take no memory as constants.

    `units` maps node names to npu | fused | cpu | none. A node that nothing runs, or that has no fixed-point
    form, becomes an operator of kind `opaque` on the cpu. Number formats are those of `settings`; of the
    modes that measure, what they are told. Raises (exit 2) on formats that the chip lacks.
    """
    chosen = settings or Settings()
    lean = replace(graph, constants={name: _lean(value) for name, value in graph.constants.items()})
    plan = make_plan(graph, floats_only=False)
    plan = replace(plan, steps=tuple(part for step in plan.steps for part in _parts(step, units)))
    formats = formats_of(recipe.number_format, chosen)
    formats = formats.with_own(_own(lean, plan, chosen, formats, units))
    assembly = _Outline(lean, plan, recipe.number_format.arithmetic, formats, units)
    for name in graph.inputs:
        assembly.declare(name)
    for step in plan.steps:
        assembly.build(step)
    return FixedModel(
        graph.name,
        recipe.number_format.arithmetic,
        recipe.chip,
        tuple(graph.inputs),
        tuple(graph.outputs),
        assembly.tensors,
        assembly.constants,
        tuple(assembly.operators),
        kept_quantization.metadata(graph),
    )


def _lean(value: Array) -> Array:
    """Weights without their values, since they decide nothing; what is small or whole may decide a shape."""
    if value.ndim < 2 or value.dtype.kind != "f":
        return value
    return np.broadcast_to(np.ones(1, value.dtype), value.shape)


def _parts(step: Step, units: Mapping[str, str]) -> Sequence[Step]:
    """A step, or its nodes each alone where nothing runs one of them."""
    if len(step.nodes) == 1 or all(units.get(node.name) != NOWHERE for node in step.nodes):
        return (step,)
    return [Step((node,)) for node in step.nodes]


def _own(graph: Graph, plan: Plan, settings: Settings, formats: Formats, units: Mapping[str, str]) -> Bits:
    """The formats that settings give by name, or by a rule that measures nothing."""
    if settings.mode in (AUTO, BUDGET):
        settings = replace(settings, mode=None, flops_ratio=None)
    given = settings.mode, settings.nodes, settings.inputs, settings.outputs, settings.cpu_nodes
    return stated(graph, plan, settings, formats, units) if any(given) else Bits()


class _Outline(Assembly):
    """An assembly whose tensors have scale 1, and whose constants have shapes and types alone."""

    def __init__(
        self, graph: Graph, plan: Plan, arithmetic: str, formats: Formats, units: Mapping[str, str]
    ) -> None:
        record = Record(graph.name, arithmetic, formats.to_text(), "", 0, ())
        super().__init__(graph, plan, record, formats, units)
        self._roots = plan.root

    def build(self, step: Step) -> None:
        """The operators of a step; one opaque one where there are none."""
        self.begin(step)
        before = len(self.operators), set(self.tensors), set(self.constants)
        try:
            if any(self._units.get(node.name) == NOWHERE for node in step.nodes):
                self.fail("nothing on the chip runs it")
            if step.node.op not in BUILDERS or step.node.domain:
                self.fail("there is no fixed-point form of it")
            BUILDERS[step.node.op](self)
        except _FAILURES as failure:
            self._withdraw(*before)
            self._opaque(step, failure)

    def _withdraw(self, operators: int, tensors: set[str], constants: set[str]) -> None:
        del self.operators[operators:]
        for found, known in ((self.tensors, tensors), (self.constants, constants)):
            for name in [name for name in found if name not in known]:
                del found[name]
        self._made = {key: made for key, made in self._made.items() if made.name in tensors}

    def _opaque(self, step: Step, failure: Exception) -> None:
        read = dict.fromkeys(name for node in step.nodes for name in node.inputs)
        inputs = [name for name in read if name in self.tensors and name not in self.constants]
        reason = failure.problems[0].why if isinstance(failure, ModelbuildError) else str(failure)
        self.operators.append(
            FixedOperator(
                OPAQUE,
                self.parts.operator_names.fresh(step.node.name),
                tuple(inputs),
                tuple(self.output(index).name for index in range(len(step.outputs))),
                {"operator": step.node.op, "reason": reason or "it has no fixed-point form"},
                {},
                tuple(node.name for node in step.nodes),
                "cpu",
            )
        )

    def declare(self, name: str) -> QuantizedTensor:
        """A tensor at scale 1; of what is no float, bytes or words."""
        made = port_tensor(self.graph, name)
        if made is None:
            shape, dtype = self.graph.shapes[name], self.graph.dtypes[name]
            if dtype.kind == "f":
                form = self.formats.of(self._roots(name))
                made = QuantizedTensor(name, shape, form.bits, form.signed, 1.0, 0)
            else:
                made = QuantizedTensor(name, shape, 8 * min(dtype.itemsize, 2), dtype.kind == "i", 1.0, 0)
        self.tensors[name] = made
        return made

    def _constant(self, name: str) -> QuantizedTensor:
        y, value = self.output(), self.graph.constants[name]
        key = name, y.bits, y.signed
        if key not in self._made:
            if value.dtype.kind != "f" or not value.size:
                self.fail(f"its constant {name!r} holds {value.dtype}")
            called = name if name not in self.tensors else self._names.fresh(f"{name}/{y.dtype}")
            self._made[key] = QuantizedTensor(called, value.shape, y.bits, y.signed, 1.0, 0)
            self.tensors[called] = self._made[key]
            self.constants[called] = _zeros(value.shape, y.dtype)
        return self._made[key]

    def weight_formats(self, x: QuantizedTensor, weights: str) -> Formats:
        """Those of a node that reads `x`."""
        own = self.formats.own.weights.get(weights)
        activation = replace(self.formats.activation, bits=x.bits, signed=x.signed)
        bits = self.formats.weight_bits if own is None else bits_of(own)
        return replace(self.formats, activation=activation, weight_bits=bits)

    def weighted(self) -> Weighted | None:
        """The shapes of the leading node's constant weights."""
        return weighted(self.graph, self.node)

    def row_constants(
        self, found: Weighted, x: QuantizedTensor, y: QuantizedTensor
    ) -> dict[str, NDArray[Any]]:
        """Zeros of the types that the numbers would have."""
        bits, rows = self.weight_formats(x, found.name).weight_bits, (len(found.weight),)
        return {
            "weight": _zeros(found.weight.shape, np.int8 if bits <= 8 else np.int16),
            "bias": _zeros(rows, np.int32 if max(bits, x.bits) <= 8 else np.int64),
            "multiplier": _zeros(rows, np.int32),
            "shift": _zeros(rows, np.int32),
        }

    def table(self, function: Function, x: QuantizedTensor, y: QuantizedTensor) -> Integers:
        """256 zeros."""
        return _zeros((256,), y.dtype)

    def curve(self, function: Function, x: QuantizedTensor, y: QuantizedTensor) -> Curve:
        """As many segments as a smooth function needs."""
        rows = np.broadcast_to(np.int32(0), ((1 << x.bits) >> SEGMENT_BITS,))
        return Curve(x.low, SEGMENT_BITS, rows, rows, rows)

    def exponentials(self, x: QuantizedTensor) -> Integers:
        """Zeros."""
        return _zeros((256 if x.bits == 8 else 512,), np.int32)

    def decompose(self, factor: float, bits: int) -> tuple[int, int]:
        """Of any factor: nothing is known of it."""
        return _ONE

    def emit(
        self,
        kind: str,
        inputs: Sequence[QuantizedTensor],
        output: QuantizedTensor,
        parameters: Mapping[str, Parameter],
        constants: Mapping[str, NDArray[Any]] | None = None,
    ) -> None:
        """As an assembly does; a concat's inputs that have a scale of their own will be rescaled."""
        if kind == "concat":
            multipliers, shifts = zip(*self._rescaled(inputs, output), strict=True)
            parameters = {**parameters, "multipliers": multipliers, "shifts": shifts}
        super().emit(kind, inputs, output, parameters, constants)

    def _rescaled(self, inputs: Sequence[QuantizedTensor], output: QuantizedTensor) -> list[tuple[int, int]]:
        """Multiplier and shift of each input of a concat. Where none was made at the concat's scale, that is
        the one of the widest input: which it is only numbers tell, so the first stands for it."""
        roots, own = [self._roots(x.name) for x in inputs], self._roots(output.name)
        kept = own if own in roots else roots[0]
        return [_ONE if root == kept else _OTHER for root in roots]


def _zeros(shape: tuple[int, ...], dtype: Any) -> Integers:
    """One zero in memory, however many they are."""
    return np.broadcast_to(np.zeros((), dtype), shape)
