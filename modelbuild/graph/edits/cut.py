"""`cut: {inputs: [...], outputs: [...]}`: these tensors, or those of nodes, become the border."""

from __future__ import annotations

from collections.abc import Mapping

from modelbuild.errors import ModelbuildError
from modelbuild.graph.edits.names import resolve
from modelbuild.graph.fresh_names import fresh_in
from modelbuild.graph.model import Graph
from modelbuild.graph.passes import remove_dead_nodes

INPUT = "an input of the model, and nothing computes it: it cannot be an output"
CONSTANT = "a constant of the model"


def borders(settings: object) -> tuple[list[str], list[str]]:
    """The names under `inputs` and `outputs` of a `cut`. Raises for anything else."""
    wrong = not isinstance(settings, Mapping) or not settings or set(settings) - {"inputs", "outputs"}
    if wrong or not isinstance(settings, Mapping):
        raise ModelbuildError(
            "`cut` needs `inputs` or `outputs`", advice="for example `edit: [{cut: {outputs: [name]}}]`"
        )
    found = []
    for key in ("inputs", "outputs"):
        names = settings.get(key, [])
        if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
            raise ModelbuildError(f"`cut: {{{key}: ...}}` must be a list of tensor or node names")
        found.append(list(names))
    return found[0], found[1]


def apply(graph: Graph, settings: object) -> None:
    """Keeps what lies between. Raises where no output depends on an input that is named."""
    inputs, outputs = borders(settings)
    made = [name for node in graph.nodes for name in node.outputs if name]
    constants = dict.fromkeys(graph.constants, CONSTANT)
    if outputs:
        others = {**constants, **dict.fromkeys(graph.inputs, INPUT)}
        nodes = {node.name: node.outputs for node in graph.nodes}
        graph.outputs = resolve(outputs, [*made, *graph.outputs], nodes, others)
    chosen: list[str] = []
    if inputs:
        read = {node.name: [n for n in node.inputs if n not in graph.constants] for node in graph.nodes}
        chosen = resolve(inputs, [*graph.inputs, *made], read, constants)
        for name in chosen:
            if name not in graph.inputs:
                _make_input(graph, name)
        graph.inputs = [*chosen, *(name for name in graph.inputs if name not in chosen)]
    remove_dead_nodes.run(graph)
    read_names = {name for node in graph.nodes for name in node.inputs}
    lost = [name for name in chosen if name not in read_names]
    if lost or not graph.nodes:
        raise ModelbuildError(
            f"after the cut no output depends on `{lost[0]}`" if lost else "the cut leaves no node",
            advice="choose inputs that lie before the outputs",
        )
    graph.inputs = [name for name in graph.inputs if name in read_names]
    if not graph.inputs:
        raise ModelbuildError(
            "after the cut no output depends on an input",
            advice="choose outputs that are computed of the model's inputs",
        )


def _make_input(graph: Graph, tensor: str) -> None:
    """Takes `tensor` from the model's border instead of from the node that makes it. A node that makes other
    tensors, too, keeps its form: what a Split gives cannot be left out."""
    unread = fresh_in(graph, f"{tensor}_before_cut")
    for node in graph.nodes:
        node.outputs = [unread if name == tensor else name for name in node.outputs]
    graph.nodes = [node for node in graph.nodes if any(name not in ("", unread) for name in node.outputs)]
    graph.inputs.append(tensor)
