"""Runs a quantized graph node by node; a Relu or Clip behind a tensor without codes belongs to its maker."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelbuild.arithmetic.tflite import elementwise, functions, movement, pooling, products
from modelbuild.arithmetic.tflite.call import Call, Codes, Operand
from modelbuild.errors import ModelbuildError
from modelbuild.graph.constant_operators import evaluate
from modelbuild.graph.kept_quantization import CODES, Kept, kept
from modelbuild.graph.model import Array, Graph, Node

Kernel = Callable[[Call], Codes]
KERNELS: Mapping[str, Kernel] = {
    **elementwise.KERNELS,
    **functions.KERNELS,
    **pooling.KERNELS,
    **products.KERNELS,
    **movement.KERNELS,
}
_ACTIVATIONS = ("Relu", "Clip")
_PORTS = ("DequantizeLinear", "QuantizeLinear")
_OPEN = (-math.inf, math.inf)


def run(graph: Graph, feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """The codes of the graph's outputs for the codes of its inputs, of the types that the source has.

    Shapes are the graph's own. An input or output that the source does not quantize holds what it holds.
    Raises (exit 2) for feeds that do not fit, and for nodes that have no rule or no quantization.
    """
    session = _Session(graph)
    for name in graph.inputs:
        if name not in feeds:
            raise ModelbuildError(f"the input `{name}` is missing")
        session.feed(name, np.asarray(feeds[name]))
    for node in graph.nodes:
        session.step(node)
    return {name: session.result(name) for name in graph.outputs}


class _Session:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.entries = kept(graph)
        self.consumers = graph.consumers()
        self.values: dict[str, NDArray[Any]] = {}
        self.melted: dict[str, str] = {}  # tensor without codes -> the codes that its maker made at once
        for node in graph.nodes:
            self._port(node)

    def _port(self, node: Node) -> None:
        """The codes of a port are those of the constants beside it."""
        if node.op in _PORTS:
            scale, zero = (np.asarray(self.graph.constants[name]).reshape(-1) for name in node.inputs[1:3])
            name = node.inputs[0] if node.op == "DequantizeLinear" else node.outputs[0]
            self.entries[name] = Kept(str(zero.dtype), (float(scale[0]),), (int(zero[0]),))

    def feed(self, name: str, values: NDArray[Any]) -> None:
        shape, entry = self.graph.shapes[name], self.entries.get(name)
        if values.shape != shape:
            raise ModelbuildError(
                f"the input `{name}` is {list(values.shape)}", why=f"it must be {list(shape)}"
            )
        if entry is not None:
            low, high = CODES[entry.dtype]
            whole = values.dtype.kind in "iu"
            if not whole or (values.size and (int(values.min()) < low or int(values.max()) > high)):
                raise ModelbuildError(f"the input `{name}` takes codes of {entry.dtype}")
        self.values[name] = values

    def result(self, name: str) -> NDArray[Any]:
        if name in self.graph.constants:
            return self.graph.constants[name]
        entry = self.entries.get(name)
        found = self.values[name]
        return found if entry is None else found.astype(entry.dtype)

    def step(self, node: Node) -> None:
        if node.inputs and node.inputs[0] in self.melted and node.op in _ACTIVATIONS:
            target = self.melted[node.inputs[0]]
            if target != node.outputs[0]:
                self.melted[node.outputs[0]] = target
            return
        inputs = tuple(self._operand(node, name) for name in node.inputs)
        if all(operand is None or operand.entry is None for operand in inputs):
            self._plain(node, inputs)
            return
        name, bounds = self._target(node)
        entry = self.entries.get(name)
        if entry is None and node.op in movement.INDEX:
            self.values[name] = movement.index(node, inputs[0])
            return
        if entry is None and self._casts_codes(node):
            self._plain(node, inputs)
            return
        if entry is None:
            raise _refused(node, f"the source does not quantize its output `{node.outputs[0]}`")
        call = Call(self.graph, node, inputs, entry, bounds)
        if node.op in movement.MOVING and not node.domain:
            self.values.update(zip(node.outputs, movement.moved(call), strict=True))
            return
        kernel = KERNELS.get(node.op) if not node.domain else None
        if kernel is None:
            raise _refused(node, "there is no rule for this operator")
        self.values[name] = kernel(call)
        if name != node.outputs[0]:
            self.melted[node.outputs[0]] = name

    def _target(self, node: Node) -> tuple[str, tuple[float, float]]:
        """The tensor whose codes the node makes, and the limits of the activations before it."""
        name, bounds = node.outputs[0], self._bounds(node) if node.op in _ACTIVATIONS else _OPEN
        while name not in self.entries:
            readers = self.consumers.get(name, [])
            if len(readers) != 1 or readers[0].op not in _ACTIVATIONS or name in self.graph.outputs:
                break
            low, high = self._bounds(readers[0])
            bounds = (min(max(bounds[0], low), high), min(max(bounds[1], low), high))
            name = readers[0].outputs[0]
        return name, bounds

    def _bounds(self, node: Node) -> tuple[float, float]:
        if node.op == "Relu":
            return 0.0, math.inf
        ends = []
        for index, default in ((1, -math.inf), (2, math.inf)):
            name = node.inputs[index] if len(node.inputs) > index else ""
            if name and name not in self.graph.constants:
                raise _refused(node, "its limits are not constant")
            ends.append(float(np.asarray(self.graph.constants[name]).reshape(-1)[0]) if name else default)
        return ends[0], ends[1]

    def _operand(self, node: Node, name: str) -> Operand | None:
        if not name:
            return None
        entry = self.entries.get(name)
        if name in self.values:
            return Operand(name, self.values[name], entry)
        if name in self.graph.constants:
            value = self.graph.constants[name]
            return Operand(name, value if entry is None else _codes(value, entry), entry)
        raise _refused(node, f"the source does not quantize its input `{name}`")

    def _plain(self, node: Node, inputs: tuple[Operand | None, ...]) -> None:
        """A node on numbers that are not quantized (shapes, indices), or that makes codes of such."""
        made = evaluate(node, [None if operand is None else self._reals(operand) for operand in inputs])
        if made is None:
            raise _refused(node, "the source does not quantize its inputs")
        for name, values in zip(node.outputs, made, strict=False):
            entry = self.entries.get(name)
            self.values[name] = values if entry is None else _quantized(values, entry)

    def _casts_codes(self, node: Node) -> bool:
        """Whether `node` is among those that the importer writes for a CAST of a quantized tensor."""
        while node.op in ("Div", "Round", "Add") and len(self.consumers.get(node.outputs[0], [])) == 1:
            node = self.consumers[node.outputs[0]][0]
        return node.op == "Cast"

    def _reals(self, operand: Operand) -> NDArray[Any]:
        found = self.graph.constants.get(operand.name)
        return operand.reals if found is None else found


def _codes(value: Array, entry: Kept) -> NDArray[np.int64]:
    """The codes that a constant was dequantized from."""
    shape = [1] * value.ndim
    if entry.axis is not None:
        shape[entry.axis] = len(entry.scale)
    steps = np.rint(value.astype(np.float64) / np.array(entry.scale).reshape(shape))
    low, high = CODES[entry.dtype]
    wide = steps.astype(np.int64) + np.array(entry.zero_point, np.int64).reshape(shape)
    codes: NDArray[np.int64] = np.clip(wide, low, high)
    return codes


def _quantized(values: Array, entry: Kept) -> NDArray[np.int64]:
    """The codes of numbers that a float operator made (affine_quantize.h)."""
    steps = values.astype(np.float32) / np.float32(entry.scale[0])
    whole = np.trunc(steps + np.copysign(np.float32(0.5), steps)).astype(np.int64)
    codes: NDArray[np.int64] = np.clip(whole + entry.zero_point[0], *CODES[entry.dtype])
    return codes


def _refused(node: Node, why: str) -> ModelbuildError:
    return ModelbuildError(f"tflite@1 cannot run {node.op} `{node.name}`", why=why)
