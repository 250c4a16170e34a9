"""Names of nodes and inner tensors -> letters, digits and `_ . / -`, at most 64 of them, each once.

Why: TensorFlow joins the names of all layers that it fused, a thousand letters long and with semicolons and
colons, which vendors' tools and file systems do not take.
Legal: inputs and outputs of the model keep their names; where a node comes from is in its `origin`.
"""

from __future__ import annotations

import re

from modelbuild.graph import kept_quantization
from modelbuild.graph.model import Graph

_LONGEST = 64
_OTHER = re.compile(r"[^A-Za-z0-9_./-]+")


def run(graph: Graph) -> int:
    """Number of names changed."""
    border = {*graph.inputs, *graph.outputs, ""}
    tensors = [*graph.constants, *(name for node in graph.nodes for name in node.outputs)]
    entries = kept_quantization.kept(graph)
    inner = [name for name in tensors if name not in border]
    changed = _renamed(inner, border)
    for node in graph.nodes:
        node.inputs = [changed.get(name, name) for name in node.inputs]
        node.outputs = [changed.get(name, name) for name in node.outputs]
    graph.constants = {changed.get(name, name): value for name, value in graph.constants.items()}
    graph.shapes = {changed.get(name, name): value for name, value in graph.shapes.items()}
    graph.dtypes = {changed.get(name, name): value for name, value in graph.dtypes.items()}
    kept_quantization.replace(graph, {changed.get(name, name): entry for name, entry in entries.items()})
    names = _renamed([node.name for node in graph.nodes], set())
    for node in graph.nodes:
        node.name = names.get(node.name, node.name)
    return len(changed) + len(names)


def _renamed(names: list[str], taken: set[str]) -> dict[str, str]:
    """Old name -> new name, of those that change."""
    found: dict[str, str] = {}
    used = {*taken, *(name for name in names if _is_clean(name))}
    counts: dict[str, int] = {}
    for name in names:
        if _is_clean(name):
            continue
        base = new = _clean(name)
        while new in used:
            counts[base] = counts.get(base, 0) + 1
            number = f"_{counts[base]}"
            new = base[-(_LONGEST - len(number)) :] + number
        used.add(new)
        found[name] = new
    return found


def _is_clean(name: str) -> bool:
    return 0 < len(name) <= _LONGEST and _OTHER.search(name) is None


def _clean(name: str) -> str:
    """The last of the names that `name` joins, or its end; `unnamed` where nothing is left of it."""
    last = next(filter(None, reversed(name.split(";"))), "")
    short = _OTHER.sub("_", last)
    return (short if len(short) <= _LONGEST else short[-_LONGEST:].lstrip("./-_")) or "unnamed"
