"""Clip and Relu on codes: a narrower range of codes, or an activation."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from modelbuild.graph.kept_quantization import CODES, Kept
from modelbuild.graph.model import Graph, Node
from modelbuild.importers.qdq_parameters import constant, dequantized, of_linear, refused

LIMITING = frozenset({"Clip", "Relu"})
_FIRST_OF_CODES = 12  # the operator set in which Clip takes integers
_FIRST_RELU_OF_CODES = 14
_BEFORE = "export the model with the activation before its QuantizeLinear"
_ONE_CODE = "give it one code of the tensor's own type"
_WIDEST = 8
# Codes that a Clip leaves -> their type. A symmetric range lacks the lowest code.
_NARROW: Mapping[tuple[int, int], str] = {
    (low + short, high): name
    for name, (low, high) in CODES.items()
    for short in ((0, 1) if low < 0 else (0,))
    if high < 1 << _WIDEST
}


def narrow(graph: Graph, moving: Collection[str]) -> dict[str, str]:
    """The tensors of codes that a QuantizeLinear makes for a Clip alone, and the type of what that leaves: it
    is how exporters write codes of fewer than 8 bits. Such a Clip becomes an Identity. Codes that operators
    of the kinds `moving` bring to an output of the model stay as they are: no port has such types."""
    producers, consumers, found = graph.producers(), graph.consumers(), dict[str, str]()
    outward = set(graph.outputs)
    for node in reversed(graph.nodes):
        if node.op in moving and outward & set(node.outputs):
            outward |= set(node.inputs)
    for node in graph.nodes:
        codes = node.inputs[0] if node.op == "Clip" and node.inputs else ""
        maker = producers.get(codes)
        if maker is None or maker.op != "QuantizeLinear" or len(consumers[codes]) > 1:
            continue
        if {codes, *node.outputs} & outward:
            continue
        low, high = limits(graph, node)
        kind = "" if low is None or high is None else _NARROW.get((low, high), "")
        if kind and kind.startswith("u") == of_linear(graph, maker).dtype.startswith("u"):
            found[codes] = kind
            node.op, node.inputs, node.attributes = "Identity", [codes], {}
    return found


def of_same_codes(known: Kept, entry: Kept) -> bool:
    """Whether `entry`, as a DequantizeLinear says it, means the codes `known`, which may be narrowed."""
    return (known.scale, known.zero_point) == (entry.scale, entry.zero_point) and (
        known.dtype == entry.dtype
        or (known.dtype in _NARROW.values() and known.dtype.rstrip("0123456789") == entry.dtype[:-1])
    )


def limits(graph: Graph, node: Node) -> tuple[int | None, int | None]:
    """The codes between which a Clip or Relu leaves what it takes; None where it does not say."""
    if node.op == "Relu" and graph.opset < _FIRST_RELU_OF_CODES:
        raise refused(node, "it calculates with codes", _BEFORE)
    if node.op == "Relu":
        return 0, None
    if graph.opset < _FIRST_OF_CODES:
        raise refused(node, "it calculates with codes", _BEFORE)
    names = [*node.inputs[1:3], "", ""][:2]
    low, high = (_code(graph, node, name) if name else None for name in names)
    return low, high


def _code(graph: Graph, node: Node, name: str) -> int:
    value = constant(graph, node, name, "bound")
    if value.size != 1 or value.dtype.kind not in "iu":
        raise refused(node, f"its bound is {value.dtype} {list(value.shape)}", _ONE_CODE)
    return int(value.reshape(-1)[0])


def values_of(graph: Graph, node: Node, entry: Kept) -> tuple[float | None, float | None]:
    """The numbers that the `limits` stand for; None also for those that no code of `entry` exceeds."""
    if node.op == "Relu" and entry.dtype.startswith("u"):
        raise refused(node, f"it takes codes of {entry.dtype}, and ONNX has it of signed numbers", _BEFORE)
    low, high = limits(graph, node)
    lowest, highest = CODES[entry.dtype]
    low = None if low is None or low <= lowest else low
    high = None if high is None or high >= highest else high
    found = [None if code is None else float(dequantized(np.array(code), entry)) for code in (low, high)]
    return found[0], found[1]
