"""Normalising a float graph: the chip-neutral passes, until nothing changes, held against the source."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from modelbuild.graph import guard, shapes
from modelbuild.graph.model import Array, Graph
from modelbuild.graph.order import in_order
from modelbuild.graph.passes import NORMALISE, PassResult, run_passes

_MAX_ROUNDS = 20


@dataclass(frozen=True)
class Report:
    """Every pass of the first round, those that acted in later rounds, and the guard's measurement (None: not run)."""

    passes: tuple[PassResult, ...]
    difference: guard.Difference | None

    def to_json(self) -> dict[str, object]:
        """The keys `passes` and `difference` of import.json."""
        return {
            "passes": [row.to_json() for row in self.passes],
            "difference": None if self.difference is None else self.difference.to_json(),
        }


def normalise(
    graph: Graph,
    source: Path | None = None,
    inputs: Iterable[Mapping[str, Array]] | None = None,
    skip: Sequence[str] = (),
    paranoid: bool = False,
    guarded: bool = True,
) -> tuple[Graph, Report]:
    """The graph in its normal form; `graph` itself stays as it is.

    The result is compared with `graph`, or with the file `source` that it came from, on random samples and
    on `inputs`, unless `guarded` is off (a mere estimate of time needs no numbers). Raises where they differ (exit code 1), and where a shape is not static.
    """
    names = [name for name in NORMALISE if name not in skip]
    result, rows = run_passes(graph, names, paranoid)
    changes = sum(row.changes for row in rows)
    for _ in range(_MAX_ROUNDS):
        if not changes:
            break
        result, again = run_passes(result, names, paranoid)
        changes = sum(row.changes for row in again)
        rows += [row for row in again if row.changes]
    result.nodes = in_order(result.nodes, result)
    shapes.infer(result)
    difference = guard.check(source or graph, result, inputs) if guarded else None
    return result, Report(tuple(rows), difference)
