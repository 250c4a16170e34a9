"""The passes: one module each, `run(graph) -> int` rewrites in place, returns changes, is idempotent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType

import numpy as np

from modelbuild.chips.pass_names import LOWERING as _LOWERING
from modelbuild.chips.pass_names import NORMALISE as _NORMALISE
from modelbuild.chips.pass_names import REQUIRED, parsed, wrong
from modelbuild.errors import ModelbuildError
from modelbuild.graph.model import Array, Graph
from modelbuild.graph.rewrite import copied

NORMALISE: Mapping[str, ModuleType] = {name: import_module(f"{__name__}.{name}") for name in _NORMALISE}
LOWERING: Mapping[str, ModuleType] = {name: import_module(f"{__name__}.{name}") for name in _LOWERING}
PASSES: Mapping[str, ModuleType] = {**NORMALISE, **LOWERING}


@dataclass(frozen=True)
class PassResult:
    """What one run of one pass did. `error` is what the guard found it to change, as a part of the output's
    range, where that was looked at; it is not stored."""

    name: str
    nodes_before: int
    nodes_after: int
    changes: int
    error: float | None = None

    def to_json(self) -> dict[str, object]:
        """A row of `passes` in import.json and lower.json."""
        return {
            "name": self.name,
            "nodes_before": self.nodes_before,
            "nodes_after": self.nodes_after,
            "changes": self.changes,
        }


def run_passes(
    graph: Graph,
    names: Sequence[str],
    paranoid: bool = False,
    inputs: Sequence[Mapping[str, Array]] = (),
) -> tuple[Graph, list[PassResult]]:
    """Runs the passes `names` in order on a copy of `graph`; `name(N)` is one that takes a limit.

    With `paranoid`, the guard compares the graph before and after each pass that changed something, on random
    samples and on `inputs`, and the error names the pass. Raises for an unknown name.
    """
    if paranoid:
        from modelbuild.graph import guard  # loads onnxruntime

    steps = [_step(entry) for entry in names]
    result, rows = copied(graph), []
    for name, numbers in steps:
        before = copied(result) if paranoid else None
        count = len(result.nodes)
        with np.errstate(all="ignore"):  # weights that are not numbers stay so; the guard compares them
            changes = PASSES[name].run(result, *numbers)
        error = None
        if before is not None and changes:
            found = guard.check(before, result, inputs, what=f"the pass {name}", advice=advice(name))
            error = found.worst.error
        rows.append(PassResult(name, count, len(result.nodes), changes, error))
    return result, rows


def _step(entry: str) -> tuple[str, tuple[int, ...]]:
    """A pass and its number. Raises for an unknown name, and for a number too many."""
    problem = wrong(entry)
    if problem is not None:
        raise ModelbuildError.of([problem])
    return parsed(entry)


def advice(name: str) -> str:
    """What a user can do about a pass that changed the numbers."""
    if name in REQUIRED:
        return "report it with the model: a rewriting of modelbuild's is wrong here"
    return f"leave the pass out with `optimize: {{skip: [{name}]}}`, and report it with the model"
