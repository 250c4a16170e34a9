"""The fixed model of `kpu@1` or `float32` while it is being made: each tensor as bytes, as floats, or both.

A tensor is made in one form; the other is made of it where somebody first reads it, once for all readers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelbuild.arithmetic.fixed_model import FixedOperator, Parameter, QuantizedTensor, float_tensor
from modelbuild.chips.recipe import Hardware
from modelbuild.formats.kmodel.kpu_registers import RAM_UNIT
from modelbuild.graph.chains import Chains
from modelbuild.graph.model import Graph, Node
from modelbuild.graph.quantized_border import is_port
from modelbuild.kpu.lowering.functions import Function
from modelbuild.kpu.lowering.layer import Layer
from modelbuild.kpu.lowering.limits import limits, line
from modelbuild.quantize.assembly import Assembly
from modelbuild.quantize.emission import Emission, Parts, names_of
from modelbuild.quantize.plan import NATURAL, Plan, Step
from modelbuild.quantize.ports import port_tensor
from modelbuild.quantize.weighted import Weighted, weighted

BYTES, FLOATS = "bytes", "floats"
ON_KPU = "kpu_conv"


class Lowering(Emission):
    """Builders read the graph and the record through it, and emit operators into it. `assembly`: what the
    record says of the graph; None of a model of floats alone. `hardware`: what decides between two ways."""

    def __init__(
        self,
        graph: Graph,
        plan: Plan,
        units: Mapping[str, str],
        assembly: Assembly | None,
        hardware: Hardware,
    ) -> None:
        self.graph = graph
        self.units = units
        self.chains = Chains(graph)
        self.assembly = assembly
        self.hardware = hardware
        self.ram_bytes = int(hardware.sram_bytes.value) // RAM_UNIT * RAM_UNIT
        self.parts = Parts(names_of(graph)) if assembly is None else assembly.parts
        self.wanted: frozenset[str] = frozenset()  # the tensors that somebody reads as bytes
        self.layers: dict[str, Layer | None] = {}  # by the tensor that is all that they leave
        self.unpicked: dict[
            str, QuantizedTensor
        ] = {}  # of tensors that nobody has made: the map to pick from
        self.begun: dict[str, QuantizedTensor] = {}  # likewise: the map of which a pool has its first step
        self.made: dict[tuple[str, ...], QuantizedTensor] = {}  # what is made once for all, by what it is
        self._bytes: dict[str, QuantizedTensor] = {}
        self._floats: dict[str, QuantizedTensor] = {}
        self._steps = {node.name: step for step in plan.steps for node in step.nodes}
        self._step: Step | None = None
        self._declare_ports()

    def begin(self, step: Step) -> None:
        """Operators emitted from now on stand for the nodes of `step`."""
        self._step = step

    @property
    def step(self) -> Step:
        """The nodes that are being built."""
        assert self._step is not None
        return self._step

    def step_of(self, node: Node) -> Step:
        """The nodes that become one with a node."""
        return self._steps[node.name]

    # Tensors of the graph

    def _declare_ports(self) -> None:
        for name in self.graph.inputs:
            port = port_tensor(self.graph, name)
            if port is None:
                self._floats[name] = self._added(float_tensor(name, self.graph.shapes[name]))
            else:
                self._bytes[name] = self._added(port)

    def has(self, name: str, form: str) -> bool:
        """Whether a tensor is there in a form already."""
        return name in (self._bytes if form == BYTES else self._floats)

    def tensor(self, name: str) -> QuantizedTensor:
        """A tensor as floats."""
        return self.floats(name)

    def output(self, index: int = 0) -> QuantizedTensor:
        """An output of the step, as floats."""
        name = self.step.outputs[index]
        return self._floats[name] if name in self._floats else self.new_floats(name)

    def form(self, name: str, form: str) -> QuantizedTensor:
        """A tensor in the form that is asked for."""
        return self.bytes(name) if form == BYTES else self.floats(name)

    def bytes(self, name: str) -> QuantizedTensor:
        """A tensor as bytes; those of its line in the record, if it has to be quantized."""
        if name not in self._bytes:
            x = self.floats(name)
            y = self.new_bytes(name)
            self.quantize(x, y)
        return self._bytes[name]

    def floats(self, name: str) -> QuantizedTensor:
        """A tensor, or a constant, as floats."""
        if name in self._floats:
            return self._floats[name]
        if name in self.graph.constants:
            self._floats[name] = self.constant(name, self.graph.constants[name])
        elif name in self._bytes:
            x = self._bytes[name]
            self.dequantize(x, self.new_floats(name))
        else:
            self.fail(f"its input {name!r} is not a float tensor of the model")
        return self._floats[name]

    def new_bytes(self, name: str, like: QuantizedTensor | None = None) -> QuantizedTensor:
        """Declares a tensor of the graph that is made as bytes, at its scale in the record or `like`'s."""
        if is_port(self.graph, name):
            port = port_tensor(self.graph, name)
            assert port is not None
            self._bytes[name] = self._added(port)
            return port
        form = self.recorded(name) if like is None else replace(like, shape=self.graph.shapes[name])
        self._bytes[name] = self._added(replace(form, name=self._called(name, BYTES)))
        return self._bytes[name]

    def new_floats(self, name: str) -> QuantizedTensor:
        """Declares a tensor of the graph that is made as floats."""
        made = float_tensor(self._called(name, FLOATS), self.graph.shapes[name])
        self._floats[name] = self._added(made)
        return made

    def new(self, name: str, form: str, like: QuantizedTensor) -> QuantizedTensor:
        """Declares a tensor that is made as `like` is."""
        return self.new_bytes(name, like) if form == BYTES else self.new_floats(name)

    def recorded(self, name: str) -> QuantizedTensor:
        """A tensor's scale in the record."""
        if self.assembly is None:
            self.fail(f"it needs {name!r} as bytes, and this chip computes with floats")
        return self.assembly.recorded(name)

    def left(self, name: str, op: str) -> QuantizedTensor:
        """The scale at which a layer that ends in `op` leaves a tensor: the record's; but if only floats are
        read of it, a function that has a range of its own keeps that, whatever the tensor is joined with."""
        found = self.recorded(name)
        if name in self.wanted or op not in NATURAL or self.assembly is None:
            return found
        form = self.assembly.formats.activation
        return form.tensor(name, found.shape, *form.grid(*NATURAL[op]))

    def _called(self, name: str, form: str) -> str:
        """The graph's name for what is made first, and for what is an input or output of the model."""
        outer = name in self.graph.inputs or name in self.graph.outputs
        if (form == FLOATS) if outer else name not in self.parts.tensors:
            return name
        return self.parts.names.fresh(f"{name}/{form}")

    def _added(self, tensor: QuantizedTensor) -> QuantizedTensor:
        self.parts.tensors[tensor.name] = tensor
        return tensor

    # Tensors that the graph does not have

    def between(self, like: QuantizedTensor, shape: tuple[int, ...], role: str) -> QuantizedTensor:
        """A tensor that no node of the graph has, in the number format of `like`."""
        name = self.parts.names.fresh(f"{self.step.outputs[0]}/{role}")
        return self._added(replace(like, name=name, shape=shape))

    def float_between(self, shape: tuple[int, ...], role: str) -> QuantizedTensor:
        """A tensor of floats that no node of the graph has."""
        return self.between(float_tensor("", ()), shape, role)

    def constant(self, wanted: str, values: NDArray[Any]) -> QuantizedTensor:
        """Floats that are the same for every input."""
        if values.dtype.kind not in "fiu" or not np.isfinite(values).all() or not values.size:
            self.fail(f"its constant {wanted!r} holds {values.dtype}, or numbers that are not finite")
        name = wanted if wanted not in self.parts.tensors else self.parts.names.fresh(wanted)
        self.parts.constants[name] = np.asarray(values, np.float32)
        return self._added(float_tensor(name, values.shape))

    def scalar(self, value: float, beside: QuantizedTensor | None = None) -> QuantizedTensor:
        """One float of as many axes as any tensor takes; of none beside a tensor of none."""
        shape = () if beside is not None and not beside.shape else (1,)
        key = ("scalar", repr(float(np.float32(value))), str(shape))
        if key not in self.made:
            name = self.parts.names.fresh(f"{self.step.outputs[0]}/number")
            self.made[key] = self.constant(name, np.full(shape, value, np.float32))
        return self.made[key]

    # What the record says of weights

    def weighted(self) -> Weighted | None:
        """The constant weights of the leading node, equalised; None if it has none."""
        if self.assembly is None:
            return weighted(self.graph, self.node)
        self.assembly.begin(self._steps[self.node.name])
        return self.assembly.weighted()

    # Operators

    def emit(
        self,
        kind: str,
        inputs: Sequence[QuantizedTensor],
        output: QuantizedTensor,
        parameters: Mapping[str, Parameter],
        constants: Mapping[str, NDArray[Any]] | None = None,
    ) -> None:
        """Append an operator; its constants are named after it."""
        operator = FixedOperator(
            kind,
            self.node.name,
            tuple(tensor.name for tensor in inputs),
            (output.name,),
            parameters,
            {},
            tuple(node.name for node in self.step.nodes),
            "npu" if kind == ON_KPU else "cpu",
        )
        self.parts.append(operator, constants)

    def quantize(self, x: QuantizedTensor, y: QuantizedTensor) -> None:
        """Bytes of floats."""
        self.emit("quantize", (x,), y, {}, line(1.0 / y.scale, y.zero_point))

    def dequantize(self, x: QuantizedTensor, y: QuantizedTensor) -> None:
        """Floats of bytes."""
        self.emit("dequantize", (x,), y, {}, line(x.scale, -x.zero_point * x.scale))

    def lookup(self, x: QuantizedTensor, y: QuantizedTensor, function: Function) -> None:
        """y = function(x) by 256 answers."""
        reals = x.scale * (np.arange(256, dtype=np.float64) - x.zero_point)
        steps = np.clip(function(reals) / y.scale, -1e6, 1e6)
        table = np.clip(np.rint(steps) + y.zero_point, 0, 255).astype(np.uint8)
        self.emit("lookup", (x,), y, {}, {"table": table})

    def bytes_at(self, name: str, like: QuantizedTensor) -> QuantizedTensor:
        """A tensor as bytes of the scale and zero point of `like`: of the floats, where they are there."""
        if name in self._bytes and _same(self._bytes[name], like):
            return self._bytes[name]
        key = (BYTES, name, repr(like.scale), str(like.zero_point))
        if key not in self.made and name in self.graph.constants:
            self.made[key] = self._constant_bytes(name, like)
        if key not in self.made:
            own = name not in self._bytes and _same(self.recorded(name), like)
            if own:
                return self.bytes(name)
            shape = self.graph.shapes[name]
            called = self.parts.names.fresh(f"{name}/rescaled")
            self.made[key] = self._added(replace(like, name=called, shape=shape))
            if name in self._floats:
                self.quantize(self._floats[name], self.made[key])
            else:
                self.lookup(self.bytes(name), self.made[key], lambda x: x)
        return self.made[key]

    def _constant_bytes(self, name: str, like: QuantizedTensor) -> QuantizedTensor:
        """A constant at the scale and zero point of `like`."""
        values = np.asarray(self.graph.constants[name], np.float64)
        if not np.isfinite(values).all():
            self.fail(f"its constant {name!r} holds numbers that are not finite")
        called = self.parts.names.fresh(f"{name}/{BYTES}")
        codes = np.clip(np.rint(values / like.scale) + like.zero_point, 0, 255)
        self.parts.constants[called] = codes.astype(np.uint8)
        return self._added(replace(like, name=called, shape=values.shape))

    def bounds(self) -> dict[str, NDArray[Any]]:
        """`low` and `high` of an operator that ends the step, its activation's bounds."""
        low, high = self.step.bounds
        return limits(low, max(low, high))


def _same(a: QuantizedTensor, b: QuantizedTensor) -> bool:
    return (a.scale, a.zero_point) == (b.scale, b.zero_point)
