"""The fixed model while it is being made: tensors, constants and operators, named without clashes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from modelbuild.arithmetic.fixed_model import FixedOperator, Integers, Parameter, QuantizedTensor
from modelbuild.arithmetic.number import decompose, decompose_each, quantize_array
from modelbuild.errors import ModelbuildError
from modelbuild.graph.kept_quantization import Kept, kept
from modelbuild.graph.model import Graph
from modelbuild.quantize import tables
from modelbuild.quantize.curves import Curve, curve
from modelbuild.quantize.emission import Emission, Parts, names_of
from modelbuild.quantize.equalized import Equalization
from modelbuild.quantize.number_format import SCALES_OF, Formats, nearest_scale
from modelbuild.quantize.plan import Plan, Step
from modelbuild.quantize.ports import port_tensor
from modelbuild.quantize.record import Record
from modelbuild.quantize.record_places import line_of_tensor
from modelbuild.quantize.record_sums import EDITED
from modelbuild.quantize.row_constants import row_constants
from modelbuild.quantize.source_quantization import METHOD
from modelbuild.quantize.weighted import Weighted, weighted


class Assembly(Emission):
    """Builders read the graph and the record through it, and emit operators into it."""

    def __init__(
        self, graph: Graph, plan: Plan, record: Record, formats: Formats, units: Mapping[str, str]
    ) -> None:
        self.graph = graph
        self.formats = formats
        self.record = record
        self.parts = Parts(names_of(graph))
        self.tensors, self.constants = self.parts.tensors, self.parts.constants
        self.operators = self.parts.operators
        self._plan = plan
        self._units = units
        self._entries = kept(graph)
        self._lines = record.by_name()
        self.equalized = Equalization.read(
            graph, plan, record.corrections.get("equalize", {}), record.places.refuse
        )
        self._names = self.parts.names
        self._made: dict[tuple[str, int, bool], QuantizedTensor] = {}  # constants, by name, bits and sign
        self._step: Step | None = None

    def begin(self, step: Step) -> None:
        """Operators emitted from now on stand for the nodes of `step`."""
        self._step = step

    @property
    def step(self) -> Step:
        """The nodes that are being built."""
        assert self._step is not None
        return self._step

    def tensor(self, name: str) -> QuantizedTensor:
        """An input of the step: an activation, or a constant made integers on first use, of the format that
        the step leaves."""
        if name in self.graph.constants:
            return self._constant(name)
        if name not in self.tensors:
            self.fail(f"its input {name!r} is not a float tensor of the model")
        return self.tensors[name]

    def _constant(self, name: str) -> QuantizedTensor:
        y = self.output()
        key = name, y.bits, y.signed
        if key in self._made:
            return self._made[key]
        value = self.graph.constants[name]
        if value.dtype.kind != "f" or not np.isfinite(value).all() or not value.size:
            self.fail(f"its constant {name!r} holds {value.dtype}, or numbers that are not finite")
        form = replace(self.formats.activation, bits=y.bits, signed=y.signed)
        scale, zero = form.grid(float(value.min()), float(value.max()))
        called = name if name not in self.tensors else self._names.fresh(f"{name}/{form.name}")
        tensor = form.tensor(called, value.shape, scale, zero)
        self._made[key] = self.tensors[called] = tensor
        self.constants[called] = quantize_array(value, tensor)
        return tensor

    def declare(self, name: str) -> QuantizedTensor:
        """A tensor of the plan with the scale of its line in the record, from now on one of the model's."""
        self.tensors[name] = port_tensor(self.graph, name) or self.recorded(name)
        return self.tensors[name]

    def recorded(self, name: str) -> QuantizedTensor:
        """A float tensor of the plan with the scale of its line in the record."""
        line = self._lines[name]
        assert line.scale is not None and line.zero_point is not None  # of weights alone they may be
        refuse = partial(self.record.places.refuse, line_of_tensor(name))
        form = self.formats.activations.get(line.type)
        if form is None:
            refuse(
                f"the record gives {name!r} {line.type}, which this chip does not have",
                advice=f"it has {', '.join(self.formats.activations)}",
            )
        if form.symmetric and line.zero_point:
            refuse(
                f"the record gives {name!r} a zero point, which this chip does not have",
                advice="write 0",
            )
        nearest = nearest_scale(line.scale, form.form)
        if nearest != line.scale:
            refuse(
                f"the record gives {name!r} the scale {line.scale!r}, which this chip cannot express",
                why=f"its scales are {SCALES_OF[form.form]}",
                advice=f"write {nearest!r}, which is the nearest",
            )
        root = self._lines[self._plan.root(name)]
        if (root.type, root.scale, root.zero_point) != (line.type, line.scale, line.zero_point):
            refuse(
                f"{name!r} and {root.name!r} must have one type, scale and zero point",
                why="no operator between them could convert",
                advice="edit both lines of the record",
            )
        return form.tensor(name, self.graph.shapes[name], line.scale, line.zero_point)

    def output(self, index: int = 0) -> QuantizedTensor:
        """An output of the step, declared on first use."""
        name = self.step.outputs[index]
        return self.tensors[name] if name in self.tensors else self.declare(name)

    def weight_formats(self, x: QuantizedTensor, weights: str) -> Formats:
        """Those of a node that reads `x`, with the weights' type as the record has it."""
        activation = replace(self.formats.activation, bits=x.bits, signed=x.signed)
        line = self._lines[weights]
        if line.type not in self.formats.weights:
            self.record.places.refuse(
                line_of_tensor(weights),
                f"the record gives the weights {weights!r} {line.type}, which this chip does not have",
                advice=f"it has {', '.join(self.formats.weights)}",
            )
        return replace(self.formats, activation=activation, weight_bits=line.bits)

    def weighted(self) -> Weighted | None:
        """The constant weights of the leading node, equalised; None if it has none."""
        found = weighted(self.graph, self.node)
        if found is None:
            return None
        x = next((name for name in self.node.inputs if name not in self.graph.constants), "")
        return self.equalized.weighted(found, x, self.step.outputs[0])

    def row_constants(
        self, found: Weighted, x: QuantizedTensor, y: QuantizedTensor
    ) -> dict[str, NDArray[Any]]:
        """weight, bias, multiplier and shift of an operator with weights."""
        return row_constants(self, found, x, y)

    def table(self, function: tables.Function, x: QuantizedTensor, y: QuantizedTensor) -> Integers:
        """The 256 entries of a function of 8 bits."""
        return tables.table(function, x, y)

    def curve(self, function: tables.Function, x: QuantizedTensor, y: QuantizedTensor) -> Curve:
        """The segments of a function of 16 bits."""
        return curve(function, x, y)

    def exponentials(self, x: QuantizedTensor) -> Integers:
        """What a Softmax of x looks up."""
        return tables.softmax_table(x.scale) if x.bits == 8 else tables.softmax_factors(x.scale)

    def entry(self, name: str) -> Kept | None:
        """The source's quantization of weights whose line in the record says that they keep it."""
        if self._lines[name].method != METHOD:
            return None
        if name not in self._entries:
            self.record.places.refuse(
                line_of_tensor(name),
                f"the quantization record says that the weights {name!r} are as the source has them",
                why="this model's source does not quantize them",
                advice="quantize again without `record:`",
            )
        return self._entries[name]

    def between(self, like: QuantizedTensor, shape: tuple[int, ...], role: str) -> QuantizedTensor:
        """A tensor that no node of the graph has, in the number format of `like`."""
        name = self._names.fresh(f"{self.step.outputs[0]}/{role}")
        made = QuantizedTensor(name, shape, like.bits, like.signed, like.scale, like.zero_point)
        self.tensors[name] = made
        return made

    def for_table(self, x: QuantizedTensor) -> QuantizedTensor:
        """`x`, with 8 bits where the chip's tables take no more: its lower half is given up then."""
        if x.bits == 8 or self.formats.wide_tables:
            return x
        name = self._names.fresh(f"{self.step.outputs[0]}/bytes")
        zero = min(max(round(x.zero_point / 256), -128 if x.signed else 0), 127 if x.signed else 255)
        made = QuantizedTensor(name, x.shape, 8, x.signed, x.scale * 256, zero)
        self.tensors[name] = made
        self.rescale(x, made)
        return made

    def rescale(self, x: QuantizedTensor, y: QuantizedTensor, factor: float = 1.0) -> None:
        """y = factor * x, within the step's bounds."""
        multiplier, shift = self.decompose(factor * x.scale / y.scale, operand_bits(x))
        parameters: dict[str, Parameter] = {
            "input_zero": x.zero_point,
            "multiplier": multiplier,
            "shift": shift,
        }
        self.emit("rescale", (x,), y, {**parameters, **self.bounds(y)})

    def bounds(self, y: QuantizedTensor) -> dict[str, Parameter]:
        """`output_zero`, `low` and `high` of an operator that makes y, its activation's bounds drawn in."""
        low, high = (
            min(max(y.zero_point + _whole(end / y.scale), y.low), y.high) for end in self.step.bounds
        )
        return {"output_zero": y.zero_point, "low": low, "high": max(low, high)}

    def decompose(self, factor: float, bits: int) -> tuple[int, int]:
        """Multiplier and shift; errors name the node."""
        try:
            return decompose(factor, bits)
        except ModelbuildError as error:
            self.unfit(str(error))

    def decompose_each(
        self, factors: NDArray[np.float64], bits: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Multipliers and shifts; errors name the node."""
        try:
            return decompose_each(factors, bits)
        except ModelbuildError as error:
            self.unfit(str(error))

    def unfit(self, why: str) -> NoReturn:
        """Refuse scales that do not go together: the first line of theirs that was edited, or the node."""
        for name in (*self.step.outputs, *self.step.node.inputs):
            if name in self._lines and self._lines[name].method == EDITED:
                self.record.places.refuse(
                    line_of_tensor(name),
                    f"{self.node.op} cannot work with the scale of {name!r}",
                    why=why,
                    advice="edit the line so that its scale is nearer to those of its neighbours",
                )
        self.fail(why)

    def emit(
        self,
        kind: str,
        inputs: Sequence[QuantizedTensor],
        output: QuantizedTensor,
        parameters: Mapping[str, Parameter],
        constants: Mapping[str, NDArray[Any]] | None = None,
    ) -> None:
        """Append an operator; its constants are named after it."""
        units = {self._units.get(node.name) for node in self.step.nodes}
        operator = FixedOperator(
            kind,
            self.node.name,
            tuple(tensor.name for tensor in inputs),
            (output.name,),
            parameters,
            {},
            tuple(node.name for node in self.step.nodes),
            "cpu" if "cpu" in units else "npu",
            units == {"fused"},
        )
        self.parts.append(operator, constants)


def operand_bits(*tensors: QuantizedTensor) -> int:
    """8 or 16: the widest tensor's."""
    return 16 if any(tensor.bits > 8 for tensor in tensors) else 8


def _whole(value: float) -> int:
    """Rounded half to even; infinities become far integers."""
    return round(min(max(value, -1e6), 1e6)) if not math.isnan(value) else 0
