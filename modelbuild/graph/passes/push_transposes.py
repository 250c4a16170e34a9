"""Transposes move through operators that do not care for the order of axes, meet there, and cancel.

Why: a channels-last source has one on either side of every spatial operator, and each costs a journey of the
whole feature map through memory.
Legal: element-wise operators, Concat, Split, Slice, Pad, reductions, Softmax, Resize and the like give the
same on moved data when the axes that they name move, too; constants move at once; a Reshape that flattens
pictures for a Gemm leaves the move to its weights; what moves dimensions of 1 only is a Reshape.

Which operators change sides is a minimum cut: each works on its data as they are or on moved ones, and where
two sides meet, a tensor is transposed. A graph changes only where fewer numbers are moved than before. Then,
where it costs nothing, a Transpose moves behind the operator after it, which melts into the one before.
"""

from __future__ import annotations

import math

import numpy as np

from modelbuild.graph import kept_quantization
from modelbuild.graph.model import Graph, Node
from modelbuild.graph.order import in_order
from modelbuild.graph.passes import moved_axes
from modelbuild.graph.passes.matching import is_standard
from modelbuild.graph.passes.minimum_cut import SINK, SOURCE, Edge, capacity_of, minimum_cut
from modelbuild.graph.passes.moved_axes import Move
from modelbuild.graph.rewrite import Editor, copied, merged

_A_NUMBER = 1 << 12  # what moving one number costs, beside 1 for the node that moves


def run(graph: Graph) -> int:
    """Number of operators that work on moved data now."""
    changes = 0
    while True:
        step = sum(_cut(graph, order) for order in _orders(graph)) or _sink(graph)
        if not step:
            return changes
        changes += step


def _orders(graph: Graph) -> list[tuple[int, ...]]:
    """The permutations of the graph's Transposes and their inverses, each once, in graph order."""
    found: dict[tuple[int, ...], None] = {}
    for node in graph.nodes:
        if is_standard(node, "Transpose"):
            order = tuple(_perm(graph, node))
            found.update({order: None, Move(order).inverse: None})
    return list(found)


def _perm(graph: Graph, node: Node) -> list[int]:
    return node.ints("perm", list(range(len(graph.shapes[node.inputs[0]])))[::-1])


def _cut(graph: Graph, order: tuple[int, ...]) -> int:
    """Moves the operators for which it pays to work on data transposed by `order`."""
    move = Move(order)
    changed = copied(graph)
    editor = Editor(changed)
    nodes = {id(node): node for node in editor.nodes() if moved_axes.movable(editor, node, move)}
    edges = _edges(editor, nodes, move)
    capacity, side = minimum_cut(edges)
    if capacity >= capacity_of(edges, set()):
        return 0
    _apply(editor, [node for key, node in nodes.items() if key in side], move)
    return _adopt(graph, changed, editor.close(), gain=1)


def _sink(graph: Graph) -> int:
    """Moves Transposes behind the operator that reads them, where no more is moved then. Where one comes to
    stand before another, they go on as one: each would have to pass every operator behind it."""
    changes, index, editor = 0, 0, Editor(graph)
    while index < len(graph.nodes):
        if _join(editor, graph.nodes[index]):
            changes += editor.close()
            index, editor = index - 1, Editor(graph)
            continue
        order = _sinks(editor, graph.nodes[index])
        if order is not None:
            changed = copied(graph)
            moving = Editor(changed)
            _apply(moving, [changed.nodes[index]], Move(order))
            changes += _adopt(graph, changed, moving.close(), gain=0)
            editor = Editor(graph)
        index += 1
    return changes


def _join(editor: Editor, node: Node) -> bool:
    """Whether `node` is a Transpose of what another makes for it alone, and does now what both did."""
    earlier = editor.producer(node.inputs[0], "Transpose") if is_standard(node, "Transpose") else None
    if earlier is None or not editor.private(node.inputs[0]):
        return False
    perm = _composed(editor.graph, earlier, Move(tuple(_perm(editor.graph, node))))
    node.origin = merged(earlier.origin, node.origin)
    editor.replace(node, "Transpose", [earlier.inputs[0]], {"perm": list(perm)})
    editor.remove(earlier)
    editor.changes += 1
    return True


def _adopt(graph: Graph, changed: Graph, changes: int, gain: int) -> int:
    """Makes `graph` the `changed` one, if that moves less by at least `gain`: so this comes to an end."""
    if _work(changed) + gain > _work(graph):
        return 0
    changed.nodes = in_order(changed.nodes, changed)  # a shared Transpose stands before its first reader
    for name in ("nodes", "constants", "shapes", "dtypes", "metadata", "quantization"):
        setattr(graph, name, getattr(changed, name))
    return changes


def _work(graph: Graph) -> int:
    """What the graph's Transposes move, and a little for each of them and for each Reshape."""
    transposes = (node for node in graph.nodes if is_standard(node, "Transpose"))
    moved = sum(_A_NUMBER * math.prod(graph.shapes[node.inputs[0]]) for node in transposes)
    return moved + sum(is_standard(node, "Transpose", "Reshape") for node in graph.nodes)


def _sinks(editor: Editor, node: Node) -> tuple[int, ...] | None:
    sources = [name for name in moved_axes.data_inputs(node) if name not in editor.graph.constants]
    makers = [editor.producer(name, "Transpose") for name in dict.fromkeys(sources)]
    perms = {None if maker is None else tuple(_perm(editor.graph, maker)) for maker in makers}
    if len(perms) != 1 or None in perms or not all(map(editor.private, sources)):
        return None
    (perm,) = perms
    assert perm is not None
    move = Move(Move(perm).inverse)
    outputs = moved_axes.made(node)
    if not outputs or not moved_axes.movable(editor, node, move):
        return None
    before = sum(_cost(editor, name, perm) for name in dict.fromkeys(sources))
    return move.order if sum(_cost(editor, name, perm) for name in outputs) <= before else None


def _cost(editor: Editor, tensor: str, order: tuple[int, ...]) -> int:
    shape = editor.shape(tensor)
    return 1 if moved_axes.free(shape, order) else 1 + _A_NUMBER * math.prod(shape)


def _edges(editor: Editor, nodes: dict[int, Node], move: Move) -> list[Edge]:
    """The graph to cut: an operator on the source's side works on moved data.

    ("as is", t) is on the sink's side where somebody reads the tensor t as it is, ("moved", t) on the other
    where somebody reads it moved.
    """
    edges: list[Edge] = []
    tensors = {name: None for node in nodes.values() for name in moved_axes.data_inputs(node)}
    tensors.update({name: None for node in nodes.values() for name in moved_axes.made(node)})
    for tensor in tensors:
        if tensor not in editor.graph.constants:
            edges += _edges_of(editor, nodes, tensor, move)
    endless = 1 + sum(capacity for *_, capacity in edges if capacity > 0)
    return [(start, end, capacity if capacity > 0 else endless) for start, end, capacity in edges]


def _edges_of(editor: Editor, nodes: dict[int, Node], tensor: str, move: Move) -> list[Edge]:
    as_is, moved, endless = ("as is", tensor), ("moved", tensor), 0
    edges: list[Edge] = []
    maker, back = editor.producer(tensor), move.inverse
    flexible = maker is not None and id(maker) in nodes and tensor in moved_axes.made(maker)
    if flexible:
        edges += [
            (id(maker), as_is, _cost(editor, tensor, back)),
            (moved, id(maker), _cost(editor, tensor, move.order)),
        ]
    elif maker is not None and maker.op == "Transpose":
        edges.append((SOURCE, as_is, _cost(editor, maker.inputs[0], tuple(_perm(editor.graph, maker)))))
        composed = _composed(editor.graph, maker, move)
        if composed != tuple(range(len(composed))):
            edges.append((moved, SINK, _cost(editor, maker.inputs[0], composed)))
    else:
        edges.append((moved, SINK, _cost(editor, tensor, move.order)))
    for reader in editor.consumers(tensor):
        turns = is_standard(reader, "Transpose")
        if id(reader) in nodes and tensor in moved_axes.data_inputs(reader):
            edges += [(id(reader), moved, endless), (as_is, id(reader), endless)]
        elif flexible and turns and tuple(_perm(editor.graph, reader)) == move.order:
            edges.append((SOURCE, id(maker), _cost(editor, tensor, move.order)))
        elif flexible or not turns:
            edges.append((as_is, SINK, endless))
    if tensor in editor.graph.outputs:
        edges.append((as_is, SINK, endless))
    return edges


def _composed(graph: Graph, transpose: Node, move: Move) -> tuple[int, ...]:
    """The permutation from the input of `transpose` to its output moved."""
    perm = _perm(graph, transpose)
    return tuple(perm[axis] for axis in move.order)


def _apply(editor: Editor, nodes: list[Node], move: Move) -> None:
    """Lets `nodes` (in graph order) work on data transposed by `move`."""
    moved: dict[str, str] = {}
    for node in nodes:
        names = set(moved_axes.data_inputs(node))
        for name in [name for name in node.inputs if name in names and name not in moved]:
            moved[name] = _moved(editor, node, name, move)
        moved_axes.follow(editor, node, move)
        editor.set_inputs(node, [moved.get(name, name) if name in names else name for name in node.inputs])
        for name in moved_axes.made(node):
            moved[name] = _made_moved(editor, node, name, move)
        editor.changes += 1
    _clean(editor, moved, move)


def _moved(editor: Editor, reader: Node, tensor: str, move: Move) -> str:
    """The tensor that holds `tensor` moved, made in front of `reader` if nothing makes it yet."""
    if tensor in editor.graph.constants:
        return moved_axes.moved_constant(editor, tensor, move)
    source, order = tensor, move.order
    maker = editor.producer(tensor, "Transpose")
    if maker is not None:
        source, order = maker.inputs[0], _composed(editor.graph, maker, move)
        _hand_over(editor.graph, tensor, source)
    if order == tuple(range(len(order))):
        return source
    shape, dtype = editor.shape(source), editor.graph.dtypes[source]
    name = editor.tensor(f"{tensor}_moved", [shape[axis] for axis in order], dtype)
    _transposed(editor, reader, source, name, order, behind=False)
    _hand_over(editor.graph, source, name)
    return name


def _made_moved(editor: Editor, node: Node, tensor: str, move: Move) -> str:
    """Lets `node` make `tensor` moved, and a Transpose behind it makes `tensor` itself."""
    shape = move.shape(editor.shape(tensor))
    name = editor.tensor(f"{tensor}_moved", shape, editor.graph.dtypes[tensor])
    _hand_over(editor.graph, tensor, name)
    editor.retarget(node, tensor, name)
    _transposed(editor, node, name, tensor, move.inverse, behind=True)
    return name


def _transposed(
    editor: Editor, anchor: Node, source: str, target: str, order: tuple[int, ...], behind: bool
) -> None:
    if moved_axes.free(editor.shape(source), order):
        shape = editor.add_constant(f"{target}_shape", np.array(editor.shape(target), np.int64))
        editor.insert(anchor, "Reshape", [source, shape], [target], behind=behind)
    else:
        editor.insert(anchor, "Transpose", [source], [target], {"perm": list(order)}, behind=behind)


def _hand_over(graph: Graph, known: str, other: str) -> None:
    """The same values in another order have the same quantization."""
    entry = kept_quantization.entry(graph, known)
    if entry is not None and entry.axis is None and kept_quantization.entry(graph, other) is None:
        kept_quantization.keep(graph, {other: entry})


def _clean(editor: Editor, moved: dict[str, str], move: Move) -> None:
    """Transposes that undo the move read what was there before it; those that nobody reads go."""
    for tensor, name in moved.items():
        if tensor in editor.graph.constants:
            continue
        readers = [reader for reader in editor.consumers(tensor) if is_standard(reader, "Transpose")]
        # one that makes an output comes last: `name` is called as the output then
        for reader in sorted(readers, key=lambda reader: reader.outputs[0] in editor.graph.outputs):
            if name not in reader.outputs and tuple(_perm(editor.graph, reader)) == move.order:
                editor.bypass(reader, name)
        maker = editor.producer(tensor, "Transpose", "Reshape")
        if maker is not None and tensor not in editor.graph.outputs and not editor.consumers(tensor):
            editor.remove(maker)
