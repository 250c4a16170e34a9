"""`remove: {nodes: [...], types: [...]}`: takes nodes out; what they read goes on to who read them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from modelbuild.errors import ModelbuildError, did_you_mean
from modelbuild.graph import shapes
from modelbuild.graph.edits.names import LISTED, mapping, rename_tensor
from modelbuild.graph.model import Graph, Node
from modelbuild.graph.passes import remove_dead_nodes
from modelbuild.graph.rewrite import copied

_KEEP = "keep it: nothing can take its place, and no cut leaves the rest of the model"
_FOLDED = "leave it: the optimizer folds what is the same for all inputs"


def apply(graph: Graph, settings: object) -> None:
    """Removes nodes by name and by operator, in the graph's order.

    Raises for names and operators that the model lacks, and for a node that cannot be passed by: it reads
    several tensors that are computed, or what follows does not take the tensor that it reads.
    """
    given = mapping(settings, "remove", ("nodes", "types"), "edit: [{remove: {types: [Dropout]}}]")
    names, types = (_listed(given.get(key), key) for key in ("nodes", "types"))
    if not names and not types:
        raise ModelbuildError("`remove` needs `nodes` or `types`", advice="write `remove: {nodes: [name]}`")
    _check_known(names, [node.name for node in graph.nodes], "node")
    _check_known(types, [node.op for node in graph.nodes], "node of the type")
    chosen = [node for node in graph.nodes if node.name in names or node.op in types]
    known = set(shapes.known_values(copied(graph)))
    for node in chosen:
        _remove(graph, node, known)
    remove_dead_nodes.run(graph)


def _listed(given: Any, key: str) -> list[str]:
    names = [given] if isinstance(given, str) else given or []
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        raise ModelbuildError(f"`remove: {{{key}: ...}}` must be a list of names")
    return list(names)


def _check_known(names: Sequence[str], known: Sequence[str], what: str) -> None:
    for name in names:
        if name not in known:
            raise ModelbuildError(
                f"the model has no {what} `{name}`",
                advice=did_you_mean(name, known) or LISTED,
            )


def _remove(graph: Graph, node: Node, known: set[str]) -> None:
    label = f"{node.op} `{node.name}`"
    source = _source(graph, node, known, label)
    target = node.outputs[0]
    cuts = _cuts(graph, node, [source])
    before, after = (f"{graph.dtypes[name]} {list(graph.shapes[name])}" for name in (source, target))
    graph.nodes.remove(node)
    if target in graph.outputs:
        _hand_over(graph, source, target, label)
    else:
        for reader in graph.nodes:
            reader.inputs = [source if name == target else name for name in reader.inputs]
    if before == after:
        return
    try:
        shapes.infer(copied(graph))
    except ModelbuildError as error:
        raise ModelbuildError(
            f"{label} cannot be removed: it makes {after} of {before}",
            why=f"what follows does not take that: {error.problems[0].what}",
            advice="remove the nodes that follow, too" + "".join(f", or {cut}" for cut in cuts),
        ) from error


def _cuts(graph: Graph, node: Node, reads: Sequence[str]) -> list[str]:
    """What ends before the node or begins behind it, so far as that is possible: no input of the model can be
    an output, and what nothing reads no input."""
    found = []
    if reads and not set(reads) & set(graph.inputs):
        found.append(f"end the model before it: `cut: {{outputs: [{', '.join(reads)}]}}`")
    behind = [name for name in node.outputs if any(name and name in other.inputs for other in graph.nodes)]
    if behind and not set(node.outputs) & set(graph.outputs):
        found.append(f"begin it behind it: `cut: {{inputs: [{', '.join(behind)}]}}`")
    return found


def _source(graph: Graph, node: Node, known: set[str], label: str) -> str:
    """The one tensor that the node computes with; what else it reads is the same for all inputs."""
    computed = list(dict.fromkeys(name for name in node.inputs if name and name not in known))
    if len(computed) != 1:
        raise ModelbuildError(
            f"{label} cannot be removed: it reads {len(computed)} tensors"
            + (f" ({', '.join(computed)})" if computed else ""),
            why="which of them would take its place is not known" if computed else "it makes a constant",
            advice=" or ".join(_cuts(graph, node, computed)) or _KEEP if computed else _FOLDED,
        )
    read = {name for reader in graph.nodes if reader is not node for name in reader.inputs}
    further = [name for name in node.outputs[1:] if name and (name in read or name in graph.outputs)]
    if further:
        raise ModelbuildError(
            f"{label} cannot be removed: its further output `{further[0]}` is read",
            advice=" or ".join(_cuts(graph, node, computed)) or _KEEP,
        )
    return computed[0]


def _hand_over(graph: Graph, source: str, target: str, label: str) -> None:
    """The model's output `target` becomes the tensor `source`, and keeps its name."""
    if source in graph.inputs or source in graph.outputs:
        kind = "input" if source in graph.inputs else "output"
        others = [name for name in graph.outputs if name != target]
        raise ModelbuildError(
            f"{label} cannot be removed: the model's output `{target}` would be its {kind} `{source}`",
            advice=f"do without the output: `cut: {{outputs: [{', '.join(others)}]}}`" if others else _KEEP,
        )
    for table in (graph.shapes, graph.dtypes):
        table.pop(target, None)
    rename_tensor(graph, source, target)
