"""What edits ask of a graph's names: which tensor is meant, what is free, and giving a tensor another one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from modelbuild.errors import ModelbuildError, did_you_mean
from modelbuild.graph import kept_quantization
from modelbuild.graph.model import Graph

Tensors = Mapping[str, Sequence[str]]  # node name -> tensors


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
            raise unknown(name, [*known, *nodes])
    return list(found)


def unknown(name: str, known: Iterable[str]) -> ModelbuildError:
    """The error of a name that is neither a tensor's nor a node's."""
    return ModelbuildError(
        f"the model has no tensor and no node `{name}`",
        advice=did_you_mean(name, known) or "`modelbuild inspect` lists the names",
    )


def border(graph: Graph, name: str, *, outputs: bool = True) -> str:
    """`name` if it is an input of the model, or with `outputs` an output. Raises with the nearest one."""
    known = [*graph.inputs, *(graph.outputs if outputs else ())]
    if name in known:
        return name
    kinds = "input or output" if outputs else "input"
    raise ModelbuildError(
        f"the model has no {kinds} `{name}`",
        advice=did_you_mean(name, known) or f"it has {', '.join(known)}",
    )


def chosen_input(graph: Graph, settings: Mapping[str, Any], kind: str) -> str:
    """The input that `settings` name; the only one where they name none."""
    name = settings.get("input")
    if name is not None:
        return border(graph, str(name), outputs=False)
    if len(graph.inputs) != 1:
        raise ModelbuildError(
            f"the model has {len(graph.inputs)} inputs: {', '.join(graph.inputs)}",
            advice=f"say which: `{kind}: {{input: {graph.inputs[0]}, ...}}`",
        )
    return graph.inputs[0]


def mapping(settings: object, kind: str, keys: Iterable[str], example: str) -> Mapping[str, Any]:
    """`settings`, if they are a mapping of these keys alone."""
    if not isinstance(settings, Mapping):
        raise ModelbuildError(f"`{kind}` needs a mapping", advice=f"for example `{example}`")
    known = list(keys)
    for key in settings:
        if key not in known:
            raise ModelbuildError(
                f"`{kind}` has no key `{key}`",
                advice=did_you_mean(str(key), known) or f"its keys are {', '.join(known)}",
            )
    return settings


def tensors(graph: Graph) -> set[str]:
    """The names of all tensors, constants included."""
    made = (name for node in graph.nodes for name in node.outputs if name)
    return {*graph.inputs, *graph.constants, *made}


def fresh(graph: Graph, base: str) -> str:
    """A name beginning with `base` that neither a tensor nor a node has."""
    taken = tensors(graph) | {node.name for node in graph.nodes}
    name, count = base, 0
    while name in taken:
        count += 1
        name = f"{base}_{count}"
    return name


def rename_tensor(graph: Graph, old: str, new: str) -> None:
    """Calls the tensor `old` by the free name `new` everywhere."""

    def renamed(names: Sequence[str]) -> list[str]:
        return [new if name == old else name for name in names]

    graph.inputs, graph.outputs = renamed(graph.inputs), renamed(graph.outputs)
    for node in graph.nodes:
        node.inputs, node.outputs = renamed(node.inputs), renamed(node.outputs)
    graph.constants = {new if name == old else name: value for name, value in graph.constants.items()}
    graph.shapes = {new if name == old else name: shape for name, shape in graph.shapes.items()}
    graph.dtypes = {new if name == old else name: dtype for name, dtype in graph.dtypes.items()}
    kept_quantization.renamed(graph, old, new)
