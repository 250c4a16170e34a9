"""`rename: {old: new}`: other names for tensors and nodes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from modelbuild.errors import ModelbuildError
from modelbuild.graph.edits.names import rename_tensors, unknown
from modelbuild.graph.fresh_names import tensors
from modelbuild.graph.model import Graph


def apply(graph: Graph, settings: object) -> None:
    """Renames all at once: every old name is one from before, whatever the order, so that two may change
    theirs with each other. A node that is called as the tensor is renamed with it.

    Raises for a name that is not there, and for one that would be there twice."""
    if not isinstance(settings, Mapping) or not settings:
        raise ModelbuildError("`rename` needs old and new names: `rename: {old: new}`")
    known, nodes = tensors(graph), {node.name: node for node in graph.nodes}
    for old, new in settings.items():
        if not isinstance(new, str) or not new:
            raise ModelbuildError(f"`rename: {{{old}: ...}}` needs a name")
        if old not in known and old not in nodes:
            raise _unknown(str(old), settings, [*known, *nodes])
    of_tensors = {old: new for old, new in settings.items() if old in known}
    of_nodes = {old: new for old, new in settings.items() if old in nodes}
    kept = (known - set(of_tensors)) | (set(nodes) - set(of_nodes))
    wanted = Counter(settings.values())
    for old, new in settings.items():
        if new != old and new in kept:
            raise ModelbuildError(
                f"cannot rename `{old}`: there is a `{new}` already",
                advice="take another name, or rename that one in the same edit",
            )
        if wanted[new] > 1:
            twice = " and ".join(f"`{name}`" for name, given in settings.items() if given == new)
            raise ModelbuildError(f"cannot call {twice} `{new}`", why="a name stands for one of them")
    rename_tensors(graph, of_tensors)
    for old, new in of_nodes.items():
        nodes[old].name = new


def _unknown(old: str, settings: Mapping[str, str], known: list[str]) -> ModelbuildError:
    if old not in settings.values():
        return unknown(old, known)
    return ModelbuildError(
        f"the model has no tensor and no node `{old}` before this edit",
        why="all names of one `rename` are given at once",
        advice="write the last name at once, or a second `rename`",
    )
