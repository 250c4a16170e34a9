"""The manifest's `edit:` list: cutting a model at tensors or nodes, and renaming."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from modelbuild.errors import ModelbuildError, did_you_mean
from modelbuild.graph import kept_quantization
from modelbuild.graph.model import Graph, Node
from modelbuild.graph.passes import remove_dead_nodes
from modelbuild.graph.rewrite import copied

Edit = Mapping[str, Any]  # one key: the kind of edit
Tensors = Mapping[str, Sequence[str]]  # node name -> tensors


def apply(graph: Graph, edits: Sequence[Edit]) -> Graph:
    """A copy of `graph` after all `edits`, in order.

    `cut: {inputs: [...], outputs: [...]}` makes tensors, or those that nodes read or write, the model's
    borders. `rename: {old: new}` renames a tensor or node. Raises for names that are not there, with the
    nearest one, and for edits that are not supported.
    """
    result = copied(graph)
    for edit in edits:
        for kind, settings in edit.items():
            if kind not in _EDITS:
                raise ModelbuildError(
                    f"the edit `{kind}` is not supported",
                    advice=did_you_mean(kind, _EDITS) or f"the edits: {', '.join(_EDITS)}",
                )
            _EDITS[kind](result, settings)
    return result


def resolve(names: Iterable[str], tensors: Iterable[str], nodes: Tensors) -> list[str]:
    """The tensors that `names` mean: tensors themselves, else those of the node so called; each once.

    Raises for an unknown name, with the nearest tensors and nodes.
    """
    known = set(tensors)
    found: dict[str, None] = {}
    for name in names:
        if name in known:
            found[name] = None
        elif name in nodes:
            found.update(dict.fromkeys(item for item in nodes[name] if item))
        else:
            raise _unknown(name, [*known, *nodes])
    return list(found)


def cut_borders(settings: object) -> tuple[list[str], list[str]]:
    """The names under `inputs` and `outputs` of a `cut`. Raises for anything else."""
    wrong = not isinstance(settings, Mapping) or not settings or set(settings) - {"inputs", "outputs"}
    if wrong or not isinstance(settings, Mapping):
        raise ModelbuildError(
            "`cut` needs `inputs` or `outputs`", advice="for example `edit: [{cut: {outputs: [name]}}]`"
        )
    borders = []
    for key in ("inputs", "outputs"):
        names = settings.get(key, [])
        if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
            raise ModelbuildError(f"`cut: {{{key}: ...}}` must be a list of tensor or node names")
        borders.append(list(names))
    return borders[0], borders[1]


def _unknown(name: str, known: Sequence[str]) -> ModelbuildError:
    return ModelbuildError(
        f"the model has no tensor and no node `{name}`",
        advice=did_you_mean(name, known) or "`modelbuild inspect` lists the names",
    )


def _cut(graph: Graph, settings: object) -> None:
    inputs, outputs = cut_borders(settings)
    made = [name for node in graph.nodes for name in node.outputs if name]
    if outputs:
        graph.outputs = resolve(outputs, made, {node.name: node.outputs for node in graph.nodes})
    if inputs:
        read = {node.name: [n for n in node.inputs if n not in graph.constants] for node in graph.nodes}
        borders = resolve(inputs, [*graph.inputs, *made], read)
        for name in borders:
            if name not in graph.inputs:
                _make_input(graph, name)
        graph.inputs = [*borders, *(name for name in graph.inputs if name not in borders)]
    remove_dead_nodes.run(graph)
    read_names = {name for node in graph.nodes for name in node.inputs}
    lost = [name for name in inputs if name in graph.inputs and name not in read_names]
    if lost or not graph.nodes:
        raise ModelbuildError(
            f"after the cut no output depends on `{lost[0]}`" if lost else "the cut leaves no node",
            advice="choose inputs that lie before the outputs",
        )
    graph.inputs = [name for name in graph.inputs if name in read_names]


def _make_input(graph: Graph, tensor: str) -> None:
    """Takes `tensor` from the model's border instead of from the node that makes it."""
    for node in graph.nodes:
        node.outputs = ["" if name == tensor else name for name in node.outputs]
    graph.nodes = [node for node in graph.nodes if any(node.outputs)]
    graph.inputs.append(tensor)


def _rename(graph: Graph, settings: object) -> None:
    if not isinstance(settings, Mapping) or not settings:
        raise ModelbuildError("`rename` needs old and new names: `rename: {old: new}`")
    nodes = {node.name: node for node in graph.nodes}
    for old, new in settings.items():
        tensors = _all_tensors(graph)
        if not isinstance(new, str) or not new:
            raise ModelbuildError(f"`rename: {{{old}: ...}}` needs a name")
        if new in tensors or new in nodes:
            raise ModelbuildError(f"cannot rename `{old}`: there is a `{new}` already")
        if old in tensors:
            _rename_tensor(graph, old, new)
        elif old in nodes:
            nodes[new] = nodes.pop(old)
            nodes[new].name = new
        else:
            raise _unknown(str(old), [*tensors, *nodes])


def _all_tensors(graph: Graph) -> set[str]:
    made = (name for node in graph.nodes for name in node.outputs if name)
    return {*graph.inputs, *graph.constants, *made}


def _rename_tensor(graph: Graph, old: str, new: str) -> None:
    def renamed(names: Sequence[str]) -> list[str]:
        return [new if name == old else name for name in names]

    graph.inputs, graph.outputs = renamed(graph.inputs), renamed(graph.outputs)
    for node in graph.nodes:
        _rename_in_node(node, renamed)
    graph.constants = {new if name == old else name: value for name, value in graph.constants.items()}
    graph.shapes = {new if name == old else name: shape for name, shape in graph.shapes.items()}
    graph.dtypes = {new if name == old else name: dtype for name, dtype in graph.dtypes.items()}
    kept_quantization.renamed(graph, old, new)


def _rename_in_node(node: Node, renamed: Callable[[Sequence[str]], list[str]]) -> None:
    node.inputs, node.outputs = renamed(node.inputs), renamed(node.outputs)


_EDITS: Mapping[str, Callable[[Graph, object], None]] = {"cut": _cut, "rename": _rename}
