"""Normalising a float graph: the chip-neutral passes, again and again until nothing changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from modelbuild.chips.pass_names import REQUIRED, chosen
from modelbuild.errors import EXIT_FAILED, ModelbuildError
from modelbuild.graph import shapes, structure
from modelbuild.graph.model import Array, Graph
from modelbuild.graph.order import in_order
from modelbuild.graph.passes import NORMALISE, PassResult, run_passes

_MOST_ROUNDS = 100  # real models take two to four


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
    a shape is not static, and, naming them, where passes still act after a hundred rounds.

    Of a graph that is `structure.is_structure_only`, branches that look alike stay apart: `merge_duplicates`
    is left out unless `only` names it.
    """
    is_alike = structure.is_structure_only(graph)
    if is_alike and only is None:
        skip = [*skip, "merge_duplicates"]
    names = chosen(tuple(NORMALISE), skip, only)
    result, rows = run_passes(graph, names, paranoid, inputs)
    acted = [row for row in rows if row.changes]
    rounds = 1
    while acted:
        if rounds == _MOST_ROUNDS:
            raise _endless(acted)
        result, again = run_passes(result, names, paranoid, inputs)
        acted = [row for row in again if row.changes]
        rows += acted
        rounds += 1
    result.nodes = in_order(result.nodes, result)
    shapes.infer(result)
    structure.note(result, is_alike)
    return result, rows


def _endless(acted: Sequence[PassResult]) -> ModelbuildError:
    names = [row.name for row in acted]
    optional = [name for name in names if name not in REQUIRED]
    leave_out = f"leave out with `optimize: {{skip: [{', '.join(optional)}]}}`, and " if optional else ""
    return ModelbuildError(
        f"normalising comes to no end: after {_MOST_ROUNDS} rounds {' and '.join(names)} still act",
        why="each undoes what another does, or the model is a longer chain than was thought of",
        advice=f"{leave_out}report it with the model",
        exit_code=EXIT_FAILED,
    )
