"""What edits ask of a graph's names: which tensor is meant, and giving a tensor another one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeVar

from modelbuild.errors import ModelbuildError, did_you_mean
from modelbuild.graph import kept_quantization
from modelbuild.graph.model import Graph

Tensors = Mapping[str, Sequence[str]]  # node name -> tensors
T = TypeVar("T")
LISTED = "`modelbuild inspect --nodes FILE` lists the names"


def resolve(
    names: Iterable[str],
    tensors: Iterable[str],
    nodes: Tensors,
    others: Mapping[str, str] = MappingProxyType({}),
) -> list[str]:
    """The tensors that `names` mean: tensors themselves, else those of the node so called; each once.

    `others` says of tensors that cannot be meant what they are. Raises for one of those, for a node without
    such a tensor, and for an unknown name, with the nearest tensors and nodes.
    """
    known = set(tensors)
    found: dict[str, None] = {}
    for name in names:
        if name in known:
            found[name] = None
            continue
        meant = [item for item in nodes.get(name, ()) if item]
        if not meant and name in others:
            raise ModelbuildError(f"`{name}` is {others[name]}", advice="name a tensor that nodes compute")
        if not meant and name in nodes:
            raise ModelbuildError(
                f"the node `{name}` reads constants alone", advice="name a tensor that nodes compute"
            )
        if not meant:
            raise unknown(name, [*known, *nodes])
        found.update(dict.fromkeys(meant))
    return list(found)


def unknown(name: str, known: Iterable[str]) -> ModelbuildError:
    """The error of a name that is neither a tensor's nor a node's."""
    return ModelbuildError(
        f"the model has no tensor and no node `{name}`",
        advice=did_you_mean(name, known) or LISTED,
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


def rename_tensor(graph: Graph, old: str, new: str) -> None:
    """Calls the tensor `old` by the free name `new` everywhere."""
    rename_tensors(graph, {old: new})


def rename_tensors(graph: Graph, names: Mapping[str, str]) -> None:
    """Gives tensors other names everywhere, all at once: two may change theirs with each other. No other
    tensor has one of the new names."""

    def renamed(listed: Iterable[str]) -> list[str]:
        return [names.get(name, name) for name in listed]

    graph.inputs, graph.outputs = renamed(graph.inputs), renamed(graph.outputs)
    for node in graph.nodes:
        node.inputs, node.outputs = renamed(node.inputs), renamed(node.outputs)
    new_names = set(names.values())
    _rekey(graph.constants, names, new_names)
    _rekey(graph.shapes, names, new_names)
    _rekey(graph.dtypes, names, new_names)
    for old, new in names.items():  # by way of names that nothing has: two may change theirs with each other
        kept_quantization.renamed(graph, old, f"\0{new}")
    for new in new_names:
        kept_quantization.dropped(graph, new)
        kept_quantization.renamed(graph, f"\0{new}", new)


def _rekey(table: dict[str, T], names: Mapping[str, str], new_names: set[str]) -> None:
    """Puts entries under their new names; what tensors that are gone left there gives way."""
    entries = [
        (names.get(key, key), value) for key, value in table.items() if key in names or key not in new_names
    ]
    table.clear()
    table.update(entries)
