"""Normalising a float graph: the chip-neutral passes, again and again until nothing changes."""

from __future__ import annotations

from collections.abc import Sequence

from modelbuild.graph import shapes
from modelbuild.graph.model import Graph
from modelbuild.graph.order import in_order
from modelbuild.graph.passes import NORMALISE, PassResult, run_passes

_MAX_ROUNDS = 20


def normalise(
    graph: Graph, skip: Sequence[str] = (), paranoid: bool = False
) -> tuple[Graph, list[PassResult]]:
    """The normal form of `graph`, which itself stays as it is, and what each pass did.

    The list holds every pass of the first round, and those that acted in later rounds. With `paranoid` the
    guard runs after each pass; the caller runs `guard.check` at the end in any case. Raises where a shape is
    not static.
    """
    names = [name for name in NORMALISE if name not in skip]
    result, rows = run_passes(graph, names, paranoid)
    acted = any(row.changes for row in rows)
    for _ in range(_MAX_ROUNDS):
        if not acted:
            break
        result, again = run_passes(result, names, paranoid)
        acted = any(row.changes for row in again)
        rows += [row for row in again if row.changes]
    result.nodes = in_order(result.nodes, result)
    shapes.infer(result)
    return result, rows
