"""`rename: {old: new}`: other names for tensors and nodes."""

from __future__ import annotations

from collections.abc import Mapping

from modelbuild.errors import ModelbuildError
from modelbuild.graph.edits.names import rename_tensor, tensors, unknown
from modelbuild.graph.model import Graph


def apply(graph: Graph, settings: object) -> None:
    """Renames one after another. Raises for a name that is not there, and for one that is taken."""
    if not isinstance(settings, Mapping) or not settings:
        raise ModelbuildError("`rename` needs old and new names: `rename: {old: new}`")
    nodes = {node.name: node for node in graph.nodes}
    for old, new in settings.items():
        known = tensors(graph)
        if not isinstance(new, str) or not new:
            raise ModelbuildError(f"`rename: {{{old}: ...}}` needs a name")
        if new in known or new in nodes:
            raise ModelbuildError(f"cannot rename `{old}`: there is a `{new}` already")
        if old in known:
            rename_tensor(graph, old, new)
        elif old in nodes:
            nodes[new] = nodes.pop(old)
            nodes[new].name = new
        else:
            raise unknown(str(old), [*known, *nodes])
