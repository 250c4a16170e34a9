"""`If` nodes whose condition is the same for all inputs: the branch that is always taken, in their place.

PyTorch exports such around Squeeze, whose result has another rank where a dimension is not 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from onnx import AttributeProto, GraphProto, ModelProto, NodeProto

from modelbuild.errors import ModelbuildError
from modelbuild.graph import onnx_io, shapes
from modelbuild.graph.fresh_names import fresh
from modelbuild.graph.model import Array, Shape
from modelbuild.importers import external_data, input_shapes, precision, trim
from modelbuild.importers.reasons import CONTROL_FLOW

_MAX_ROUNDS = 16  # an If may depend on what another one gives
_ADVICE = "export one branch alone, or cut it off before the import"


def take(model: ModelProto, path: Path, given: Mapping[str, Shape], notes: list[str]) -> None:
    """Replaces each `If` of `model` by a branch of it.

    Raises for one whose condition is not constant once the shapes `given` are known, or whose branches hold
    control flow in turn.
    """
    for _ in range(_MAX_ROUNDS):
        found = [node for node in model.graph.node if _is_choice(node)]
        if not found:
            return
        makers = trim.makers_of(model.graph.node)
        ready = [node for node in found if not any(map(_is_choice, trim.needed(makers, node.input)))]
        known = _conditions(model, path, given, [node.input[0] for node in ready if node.input])
        for node in ready or found[:1]:
            value = known.get(node.input[0]) if node.input else None
            if value is None or value.size != 1:
                raise _refusal(node)
            _refuse_nested(node)
        _replace(model.graph, {node.name: bool(known[node.input[0]].reshape(-1)[0]) for node in ready}, notes)
        trim.name_nodes(model)


def _refusal(node: NodeProto) -> ModelbuildError:
    return ModelbuildError(
        f"{node.op_type} `{node.name}` is not supported",
        why=f"{CONTROL_FLOW}; its condition is not the same for all inputs",
        advice=f"{_ADVICE}; where it asks for shapes, give the shapes of all inputs",
    )


def _is_choice(node: NodeProto) -> bool:
    return node.op_type == "If" and node.domain in ("", "ai.onnx")


def _refuse_nested(node: NodeProto) -> None:
    inner = [item for attribute in node.attribute for item in attribute.g.node]
    if any(attribute.type == AttributeProto.GRAPH for item in inner for attribute in item.attribute):
        raise ModelbuildError(
            f"{node.op_type} `{node.name}` is not supported",
            why=f"{CONTROL_FLOW}, and its branches branch in turn",
            advice=_ADVICE,
        )


def _conditions(
    model: ModelProto, path: Path, given: Mapping[str, Shape], wanted: Sequence[str]
) -> Mapping[str, Array]:
    """The tensors that are the same for all inputs, of those that `wanted` need. None where shapes lack."""
    part = ModelProto(ir_version=model.ir_version)
    part.opset_import.extend(model.opset_import)
    graph = part.graph
    graph.node.extend(trim.needed(trim.makers_of(model.graph.node), wanted))
    read = {name for node in graph.node for name in node.input} | set(wanted)
    graph.initializer.extend(item for item in model.graph.initializer if item.name in read)
    graph.sparse_initializer.extend(i for i in model.graph.sparse_initializer if i.values.name in read)
    constants = {item.name for item in model.graph.initializer}
    graph.input.extend(v for v in model.graph.input if v.name in read and v.name not in constants)
    try:
        found = onnx_io.from_model(part, external_data.read(part, path))
        input_shapes.fix(found, part, given)
        precision.to_float32(found, [])
        return shapes.known_values(found)
    except ModelbuildError:
        return {}


def _replace(graph: GraphProto, taken: Mapping[str, bool], notes: list[str]) -> None:
    names = {name for node in graph.node for name in (*node.input, *node.output)}
    names |= {value.name for value in graph.input} | {tensor.name for tensor in graph.initializer}
    nodes = list[NodeProto]()
    for node in graph.node:
        if not _is_choice(node) or node.name not in taken:
            nodes.append(node)
            continue
        which = "then" if taken[node.name] else "else"
        branch = next((item.g for item in node.attribute if item.name == f"{which}_branch"), None)
        if branch is None or len(branch.output) != len(node.output):
            raise ModelbuildError(f"If `{node.name}` has no {which}_branch that gives its outputs")
        nodes += _inlined(branch, node, graph, names)
        notes.append(f"If `{node.name}` always takes its {which} branch")
    kept = [_copy(node) for node in nodes]
    del graph.node[:]
    graph.node.extend(kept)


def _inlined(branch: GraphProto, node: NodeProto, graph: GraphProto, taken: set[str]) -> Iterable[NodeProto]:
    """The nodes of `branch`, with names that nothing else has; its constants become those of `graph`."""
    inner = [item.name for item in branch.initializer]
    inner += [name for item in branch.node for name in item.output if name]
    renamed = {name: fresh(name, taken) for name in inner}
    for tensor in branch.initializer:
        copy = graph.initializer.add()
        copy.CopyFrom(tensor)
        copy.name = renamed[tensor.name]
    for item in branch.node:
        copy_node = _copy(item)
        copy_node.input[:] = [renamed.get(name, name) for name in item.input]
        copy_node.output[:] = [renamed.get(name, name) for name in item.output]
        yield copy_node
    for value, target in zip(branch.output, node.output, strict=True):
        if target:
            source = renamed.get(value.name, value.name)
            yield NodeProto(op_type="Identity", name=f"{node.name}_taken", input=[source], output=[target])


def _copy(node: NodeProto) -> NodeProto:
    copy = NodeProto()
    copy.CopyFrom(node)
    return copy
