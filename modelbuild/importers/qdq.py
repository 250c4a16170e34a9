"""Quantized ONNX models (QDQ and QLinear operators) -> the float graph and the quantization kept beside it.

Each QuantizeLinear and DequantizeLinear of an activation becomes an Identity (or the activation that its
saturation stands for), so that names stay for edits; constants become floats. docs/import.md has the rules.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from modelbuild.errors import ModelbuildError
from modelbuild.graph import fresh_names, quantized_border
from modelbuild.graph.kept_quantization import Kept, keep
from modelbuild.graph.model import Array, Graph, Node
from modelbuild.graph.order import in_order
from modelbuild.importers import qdq_constants, qdq_limits, qdq_operators, qdq_parameters
from modelbuild.importers.qdq_activations import Signs
from modelbuild.importers.qdq_parameters import dequantized, of_linear, on_axis, quantized, refused

LINEAR = ("QuantizeLinear", "DequantizeLinear")
VENDOR = "com.microsoft"  # onnxruntime's domain: these two for 4 and 16 bits before set 21, and QLinear...
VENDORS = frozenset(LINEAR) | qdq_operators.VENDORS
# Operators that move codes without looking at them: what they make has the quantization of what they take.
MOVING = frozenset(
    {"Concat", "DepthToSpace", "Expand", "Flatten", "Gather", "GatherElements", "GatherND", "Identity"}
    | {"MaxPool", "Pad", "ReduceMax", "ReduceMin", "Reshape", "Resize", "Slice", "SpaceToDepth", "Split"}
    | {"Squeeze", "Tile", "Transpose", "Unsqueeze"}
)
# Of these, those that also leave the numbers of a tensor on the steps of its scale and within its range.
KEEPING = MOVING - {"Pad", "Resize"}
_TAKE_CODES = MOVING | qdq_limits.LIMITING | {*LINEAR, "ArgMax", "ArgMin", "Shape", "Size"}
_FOLDED = qdq_constants.MOVING | qdq_limits.LIMITING  # on constant codes


def is_quantized(graph: Graph) -> bool:
    """Whether the graph has a node that `rewrite` takes away."""
    return any(node.op in {*LINEAR, *qdq_operators.OPERATORS} and not node.domain for node in graph.nodes)


def rewrite(graph: Graph, notes: list[str]) -> None:
    """Makes `graph`, at the file's own operator set, float; scales and zero points become entries.

    Shapes and types of what nodes make are to be inferred again. Raises naming the node for scales that are
    not constant, codes that other operators calculate with, and codes of unknown scale.
    """
    qdq_constants.fold(graph, {*LINEAR, *qdq_operators.OPERATORS})
    qdq_operators.expand(graph)
    found = _Codes(graph)
    found.scan()
    found.to_floats()
    quantized_tensors = len(found.codes)
    for name in graph.inputs:
        _open_input(graph, name, found, notes)
    for name in graph.outputs:
        _open_output(graph, name, found, notes)
    keep(graph, found.entries)
    graph.nodes = in_order(graph.nodes, graph)
    notes.append(
        f"the model is quantized: {quantized_tensors} tensors and {found.constants} constants keep their "
        "scales; between them the graph is float"
    )


@dataclass
class _Codes:
    """The tensors of the graph that hold codes: `codes`; and what the float tensors are quantized with."""

    graph: Graph
    codes: dict[str, Kept] = field(default_factory=dict)
    entries: dict[str, Kept] = field(default_factory=dict)
    rounded: dict[str, Kept] = field(default_factory=dict)  # float tensors of numbers that codes stand for
    constants: int = 0

    def scan(self) -> None:
        """Finds all codes, folding those that are constant."""
        self.producers = self.graph.producers()
        self.graph.nodes = [node for node in self.graph.nodes if not self._folded(node)]
        self.narrow = qdq_limits.narrow(self.graph, MOVING)
        for node in self.graph.nodes:
            self._visit(node)
        for node in self.graph.nodes:
            if any(name in self.codes for name in node.inputs) and node.op not in _TAKE_CODES:
                raise refused(node, "it calculates with codes", "export the model in the QDQ form")

    def to_floats(self) -> None:
        """Rewrites the nodes."""
        signs, self.taken = Signs(self.graph), fresh_names.tensors(self.graph)
        for node in self.graph.nodes:
            if node.op == "QuantizeLinear" and node.outputs[0] in self.codes:
                self._quantize_to_float(node, signs)
            elif node.op == "DequantizeLinear":
                self.entries[node.outputs[0]] = self.codes[node.inputs[0]]
                node.op, node.inputs, node.attributes = "Identity", node.inputs[:1], {}
            elif _moves(node) and node.outputs[0] in self.codes:
                self._take_constant_codes(node)
                if node.op == "Pad":
                    self._pad_with_floats(node)
                elif node.op in qdq_limits.LIMITING:
                    self._limit_floats(node)
                self.entries.update({name: self.codes[name] for name in node.outputs if name in self.codes})
            signs.add(node, self.entries.get(next(iter(node.outputs), "")))
            self._follow(node)

    def _folded(self, node: Node) -> bool:
        """Computes a node on constant codes; whether it did."""
        constants = self.graph.constants
        if node.op in LINEAR and node.inputs[:1] and node.inputs[0] in constants:
            value = constants[node.inputs[0]]
            codes = value if node.op == "DequantizeLinear" and value.dtype.kind in "iu" else None
            entry = on_axis(of_linear(self.graph, node, codes), value.shape, node)
            if node.op == "DequantizeLinear":
                if value.dtype.kind not in "iu":
                    raise refused(node, f"its codes are {value.dtype}")
                self._constant(node, dequantized(value, entry))
                self.entries[node.outputs[0]] = entry
                self.constants += 1
            else:
                self._constant(node, quantized(value, entry))
            return True
        held = constants.get(node.inputs[0]) if node.op in _FOLDED and node.inputs else None
        if held is None or held.dtype.kind not in "iu" or held.dtype.itemsize > 1:
            return False
        return qdq_constants.folded(self.graph, node)

    def _constant(self, node: Node, value: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> None:
        name = node.outputs[0]
        self.graph.constants[name] = value
        self.graph.shapes[name], self.graph.dtypes[name] = value.shape, value.dtype
        self.producers.pop(name, None)

    def _visit(self, node: Node) -> None:
        if node.op == "QuantizeLinear":
            target, entry = node.outputs[0], of_linear(self.graph, node)
            self._claim(target, replace(entry, dtype=self.narrow.get(target, entry.dtype)), node)
        elif node.op == "DequantizeLinear":
            given = self.codes.get(node.inputs[0])
            entry = of_linear(self.graph, node)
            if given is not None and len(node.inputs) < 3:
                entry = Kept(given.dtype, entry.scale, entry.zero_point, entry.axis)
            elif given is None and len(node.inputs) < 3:
                dtype = str(self.graph.dtypes.get(node.inputs[0], np.dtype(np.uint8)))
                entry = Kept(dtype, entry.scale, entry.zero_point, entry.axis)
            if given is not None and qdq_limits.of_same_codes(given, entry):
                entry = given
            self._trace(node, node.inputs[0], entry)
        elif _moves(node) and node.inputs[0] in self.codes:
            entry = self.codes[node.inputs[0]]
            for name in node.inputs if node.op == "Concat" else node.inputs[:1]:
                self._trace(node, name, entry)
            for name in node.outputs:
                if name:
                    self._claim(name, entry, node)

    def _trace(self, node: Node, tensor: str, entry: Kept) -> None:
        """Says that `tensor`, and what it was moved from, holds codes of `entry`."""
        waiting = [tensor]
        while waiting:
            name = waiting.pop()
            if name in self.codes:
                self._claim(name, entry, node)
                continue
            maker = self.producers.get(name)
            if name in self.graph.constants:
                continue  # `to_floats` makes numbers of them
            if maker is not None:
                if not _moves(maker):
                    raise refused(node, f"the codes `{name}` come from {maker.op} `{maker.name}`")
                waiting += maker.inputs if maker.op == "Concat" else maker.inputs[:1]
                for other in maker.outputs:
                    if other and other != name:
                        self._claim(other, entry, node)
            self._claim(name, entry, node)

    def _claim(self, tensor: str, entry: Kept, node: Node) -> None:
        if entry.axis is not None:
            raise refused(node, "an activation has a scale a channel", "quantize activations per tensor")
        known = self.codes.setdefault(tensor, entry)
        if known != entry:
            raise refused(
                node,
                f"`{tensor}` is {_described(known)}, and is read as {_described(entry)}",
            )

    def _quantize_to_float(self, node: Node, signs: Signs) -> None:
        source, target = node.inputs[0], node.outputs[0]
        entry = self.codes[target]
        self.entries[target] = entry
        before = self.rounded.get(source)
        requantizes = before is not None and not entry.holds(before)
        if not requantizes and not signs.saturates(source, entry):
            self.entries.setdefault(source, entry)
            node.op, node.inputs, node.attributes = "Identity", [source], {}
            return
        low, high = (float(np.float32(end)) for end in entry.range())
        node.op, node.inputs, node.attributes = "Clip", [source], {"min": low, "max": high}
        if self.graph.opset >= 11:
            bounds = [self._number(f"{target}_{role}", end) for role, end in (("min", low), ("max", high))]
            node.inputs, node.attributes = [source, *bounds], {}

    def _follow(self, node: Node) -> None:
        """Takes note of what `node` makes out of numbers that were codes, or may be."""
        made = self.codes.get(next(iter(node.outputs), ""))
        if made is None and node.op in KEEPING and not node.domain:
            names = node.inputs if node.op == "Concat" else node.inputs[:1]
            found = {self.rounded.get(name, self.codes.get(name)) for name in names}
            made = found.pop() if len(found) == 1 else None
        if made is not None:
            self.rounded.update(dict.fromkeys(node.outputs, made))

    def _pad_with_floats(self, node: Node) -> None:
        """A Pad of codes pads with a code: 0 where none is given."""
        entry = self.codes[node.inputs[0]]
        if self.graph.opset < 11 or len(node.inputs) < 2:
            raise refused(node, "it pads codes by an attribute")
        name = node.inputs[2] if len(node.inputs) > 2 else ""
        code = qdq_parameters.constant(self.graph, node, name, "value") if name else np.zeros((), entry.dtype)
        mode = node.attributes.get("mode", "constant")
        if mode == "constant":
            value = float(dequantized(np.asarray(code).reshape(()), entry))
            inputs = [*node.inputs[:2], self._number(f"{node.outputs[0]}_value", value), *node.inputs[3:]]
            node.inputs = inputs

    def _take_constant_codes(self, node: Node) -> None:
        """Codes that are constant, joined to others or looked up, become numbers of the same quantization."""
        entry, constants = self.codes[node.outputs[0]], self.graph.constants
        for index, name in enumerate(node.inputs if node.op == "Concat" else node.inputs[:1]):
            if name in constants:
                if str(constants[name].dtype) != entry.dtype:
                    raise refused(node, f"it takes {constants[name].dtype} for {entry.dtype}")
                made = self._number(f"{name}_dequantized", dequantized(constants[name], entry))
                node.inputs[index], self.entries[made] = made, entry

    def _limit_floats(self, node: Node) -> None:
        """A Clip or Relu of codes limits the numbers that they stand for."""
        entry = self.codes[node.outputs[0]]
        low, high = qdq_limits.values_of(self.graph, node, entry)
        names = [
            "" if value is None else self._number(f"{node.outputs[0]}_{role}", value)
            for role, value in (("min", low), ("max", high))
        ]
        op = "Identity" if low is high is None else "Relu" if (low, high) == (0.0, None) else "Clip"
        node.op, node.attributes = op, {}
        node.inputs = [node.inputs[0], *(names if op == "Clip" else ())]

    def _number(self, base: str, value: float | Array) -> str:
        name = fresh_names.fresh(base, self.taken)
        array = np.asarray(value, np.float32)
        self.graph.constants[name], self.graph.shapes[name] = array, array.shape
        self.graph.dtypes[name] = array.dtype
        return name


def _moves(node: Node) -> bool:
    plain = node.op in MOVING | qdq_limits.LIMITING and not node.domain
    return plain and bool(node.inputs and node.inputs[0] and node.outputs)


def _described(entry: Kept) -> str:
    return f"{entry.dtype} of scale {entry.scale[0]:g} and zero point {entry.zero_point[0]}"


def _open_input(graph: Graph, name: str, found: _Codes, notes: list[str]) -> None:
    entry = found.codes.get(name)
    if entry is None:
        return
    others = [
        node for node in graph.nodes if name in node.inputs and not found.entries.keys() & set(node.outputs)
    ]
    if others:
        raise refused(others[0], f"the input `{name}` holds codes for others, and numbers for it")
    if entry.dtype in quantized_border.CODE_TYPES:
        found.entries[quantized_border.dequantize_input(graph, name, entry)] = entry
    else:
        graph.dtypes[name] = np.dtype(np.float32)
        found.entries[name] = entry
        notes.append(f"`{name}` is float32 here; it is {entry.dtype} in the source")


def _open_output(graph: Graph, name: str, found: _Codes, notes: list[str]) -> None:
    entry = found.codes.get(name)
    if entry is None:
        return
    if name in graph.inputs:
        raise ModelbuildError(f"the output `{name}` is an input of the model")
    if entry.dtype in quantized_border.CODE_TYPES:
        found.entries[quantized_border.quantize_output(graph, name, entry)] = entry
        found.entries.pop(name, None)
    else:
        graph.dtypes[name] = np.dtype(np.float32)
        notes.append(f"`{name}` is float32 here; it is {entry.dtype} in the source")
