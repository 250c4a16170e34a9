"""The functions that an ONNX model defines for itself, replaced by their bodies."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import onnx.inliner
from onnx import FunctionProto, ModelProto, NodeProto
from onnx.checker import ValidationError

from modelbuild.errors import ModelbuildError

MAX_NODES = 200_000  # exported networks have some ten thousand
MAX_BYTES = 2**31 - 1  # what one protobuf message can hold
_MAX_DEPTH = 64  # exporters nest a function a module, some ten deep

_Key = tuple[str, str, str]


@dataclass(frozen=True)
class _Size:
    nodes: int = 0
    bytes: int = 0

    def __add__(self, other: _Size) -> _Size:
        return _Size(self.nodes + other.nodes, self.bytes + other.bytes)


def inlined(model: ModelProto) -> ModelProto:
    """`model` without functions. Raises for those that call themselves or grow past `MAX_NODES`, `MAX_BYTES`.

    The size is counted before anything is replaced: n functions that call each other twice make 2**n nodes.
    """
    if not model.functions:
        return model
    size = _Expansion(model.functions).of(model.graph.node, ())
    if size.nodes > MAX_NODES or size.bytes > MAX_BYTES:
        raise ModelbuildError(
            f"the functions defined in the model make {size.nodes} nodes of {size.bytes} bytes",
            why=f"at most {MAX_NODES} nodes and {MAX_BYTES} bytes can be imported",
            advice="export the model without functions",
        )
    try:
        return onnx.inliner.inline_local_functions(model)
    except (RuntimeError, ValueError, ValidationError) as error:
        raise ModelbuildError("the functions defined in the model are not valid", why=str(error)) from error


class _Expansion:
    """How large each function is with all that it calls; each is counted once."""

    def __init__(self, functions: Iterable[FunctionProto]) -> None:
        self._functions = {_key(function, function.name): function for function in functions}
        self._sizes: dict[_Key, _Size] = {}

    def of(self, nodes: Iterable[NodeProto], callers: tuple[_Key, ...]) -> _Size:
        """The size of `nodes`, which stand in the innermost of `callers`."""
        return sum((self._node(node, callers) for node in _with_branches(nodes)), _Size())

    def _node(self, node: NodeProto, callers: tuple[_Key, ...]) -> _Size:
        key = _key(node, node.op_type)
        if key not in self._functions:
            return _Size(1, node.ByteSize())
        if key in callers:
            raise ModelbuildError(f"the function `{node.op_type}` defined in the model calls itself")
        if len(callers) >= _MAX_DEPTH:
            raise ModelbuildError(
                f"the functions defined in the model are nested more than {_MAX_DEPTH} deep"
            )
        if key not in self._sizes:
            self._sizes[key] = self.of(self._functions[key].node, (*callers, key))
        return self._sizes[key]


def _key(item: FunctionProto | NodeProto, name: str) -> _Key:
    return "" if item.domain == "ai.onnx" else item.domain, name, item.overload


def _with_branches(nodes: Iterable[NodeProto]) -> Iterator[NodeProto]:
    """The nodes and those in their branches and loop bodies."""
    for node in nodes:
        yield node
        for attribute in node.attribute:
            for graph in (attribute.g, *attribute.graphs):
                yield from _with_branches(graph.node)
