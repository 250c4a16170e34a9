"""Names under `quantize:` held against the lowered model, before anything is observed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from modelbuild.errors import ModelbuildError, Problem, did_you_mean
from modelbuild.graph.model import Graph

_LISTED = 12  # names in a piece of advice


def check_named(graph: Graph, named: Mapping[str, Sequence[str]]) -> None:
    """Raises (exit 2) all names that do not exist, at once. `named`: key below `quantize:` -> names, as
    `mixed_settings.named_in` finds them."""
    known = {
        "nodes": list(_names_of_nodes(graph)),
        "inputs": list(graph.inputs),
        "outputs": list(graph.outputs),
        "ranges": [name for name in (*graph.inputs, *_tensors(graph)) if name],
    }
    problems = [
        Problem(
            f"quantize.{key}: there is no {name!r}",
            where=f"quantize.{key}.{name}",
            advice=did_you_mean(name, known[key]) or _advice(key, known[key]),
        )
        for key, names in sorted(named.items())
        for name in names
        if name not in known[key]
    ]
    if problems:
        raise ModelbuildError.of(problems)


def _tensors(graph: Graph) -> list[str]:
    return [name for node in graph.nodes for name in node.outputs if name]


def _names_of_nodes(graph: Graph) -> dict[str, None]:
    """A node goes by its name, by what it leaves, and by the source's nodes that it was made of."""
    of_nodes = (name for node in graph.nodes for name in (node.name, *node.outputs, *node.origin) if name)
    return dict.fromkeys(of_nodes)


def _advice(key: str, known: Sequence[str]) -> str:
    if key in ("inputs", "outputs") and len(known) <= _LISTED:
        return f"the lowered model has {', '.join(known)}"
    return "`modelbuild check -v` lists the nodes of the lowered model, and the record of a build its tensors"
