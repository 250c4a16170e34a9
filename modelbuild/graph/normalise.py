"""Normalising a float graph: the chip-neutral passes, again and again until nothing changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from modelbuild.graph import shapes
from modelbuild.graph.model import Array, Graph
from modelbuild.graph.order import in_order
from modelbuild.graph.pass_names import chosen
from modelbuild.graph.passes import NORMALISE, PassResult, run_passes

_MAX_ROUNDS = 20


def normalise(
    graph: Graph,
    skip: Sequence[str] = (),
    paranoid: bool = False,
    only: Sequence[str] | None = None,
    inputs: Sequence[Mapping[str, Array]] = (),
) -> tuple[Graph, list[PassResult]]:
    """The normal form of `graph`, which itself stays as it is, and what each pass did.

    `skip` and `only` choose among the passes that may be left out (`pass_names.REQUIRED` has the others). The
    list holds every pass of the first round, and those that acted in later rounds. With `paranoid` the guard
    runs after each pass, also on `inputs`; the caller runs `guard.check` at the end in any case. Raises where
    a shape is not static.
    """
    names = chosen(tuple(NORMALISE), skip, only)
    result, rows = run_passes(graph, names, paranoid, inputs)
    acted = any(row.changes for row in rows)
    for _ in range(_MAX_ROUNDS):
        if not acted:
            break
        result, again = run_passes(result, names, paranoid, inputs)
        acted = any(row.changes for row in again)
        rows += [row for row in again if row.changes]
    result.nodes = in_order(result.nodes, result)
    shapes.infer(result)
    return result, rows
