"""Why each Transpose and Gather that the passes left is still there."""

from __future__ import annotations

from collections.abc import Sequence

from modelbuild.graph.model import Graph, Node

_SPATIAL = frozenset((
    "AveragePool", "BatchNormalization", "Conv", "ConvTranspose", "DepthToSpace", "GlobalAveragePool",
    "GlobalMaxPool", "InstanceNormalization", "LRN", "MaxPool", "SpaceToDepth",
))  # fmt: skip


def surviving(graph: Graph) -> list[tuple[Node, str]]:
    """Each Transpose and Gather of a normalised `graph`, in its order, and the reason why it stays."""
    makers, readers = graph.producers(), graph.consumers()
    found = []
    for node in graph.nodes:
        if node.op == "Transpose":
            found.append((node, _of_transpose(graph, node, makers.get(node.inputs[0]), readers)))
        elif node.op == "Gather":
            found.append((node, _of_gather(graph, node)))
    return found


def _of_gather(graph: Graph, node: Node) -> str:
    indices = graph.constants.get(node.inputs[1])
    if node.inputs[0] in graph.constants:
        return f"it looks the tensor `{node.inputs[1]}` up in a table"
    if indices is None:
        return f"which cells it takes is computed, by the tensor `{node.inputs[1]}`"
    if indices.ndim == 0:
        return "it takes one cell and its axis away, for which a Slice needs a Reshape beside it"
    return f"the {indices.size} cells that it takes are not evenly spaced, so that no Slice takes them"


def _of_transpose(graph: Graph, node: Node, maker: Node | None, readers: dict[str, list[Node]]) -> str:
    target = node.outputs[0]
    after = readers.get(target, [])
    order = _order(graph.shapes[node.inputs[0]], graph.shapes[target], node.ints("perm", []))
    if maker is not None and maker.op == "Reshape" and after and all(item.op == "Reshape" for item in after):
        return f"{order}: between two Reshapes it mixes what they split and join, as a channel shuffle does"
    if target in graph.outputs:
        return f"{order}: the model's output `{target}` has this order"
    if maker is None:
        return f"{order}: the model's input `{node.inputs[0]}` comes in the other order"
    if any(item.op == "Reshape" for item in after):
        name = next(item.name for item in after if item.op == "Reshape")
        return f"{order}: the Reshape `{name}` joins axes that lie apart without it"
    return f"{order}: {_said(maker)} makes one order and {_said(_first(after))} works in the other"


def _first(nodes: Sequence[Node]) -> Node | None:
    """The reader that holds to an order, if there is one."""
    held = [node for node in nodes if node.op in _SPATIAL or node.op in ("Gemm", "MatMul")]
    return next(iter([*held, *nodes]), None)


def _said(node: Node | None) -> str:
    return "nothing" if node is None else f"{node.op} `{node.name}`"


def _order(before: Sequence[int], after: Sequence[int], perm: Sequence[int]) -> str:
    return f"{list(before)} to {list(after)} (axes {list(perm)})"
