"""The guard on the user's own samples: what the chip gets gives what the import gave."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from modelbuild.graph import guard
from modelbuild.graph.model import Array, Graph
from modelbuild.graph.normalise import normalise
from modelbuild.graph.passes import run_passes

SAMPLES = 2  # of each set: a wrong pass shows in all


def check(
    source: Graph, lowered: Graph, samples: Sequence[Mapping[str, Array]], optimize: Mapping[str, Any]
) -> None:
    """Raises where an output that both graphs have differs, naming the pass that is wrong if one is alone.

    `optimize`: what was said to `normalise` (`skip`), and the passes of `lower`."""
    both = [name for name in source.outputs if name in lowered.outputs]
    comparable = [name for name in lowered.inputs if _port(source, name) == _port(lowered, name)]
    if not both or comparable != lowered.inputs or not samples:
        return  # a tail that was cut off made it another model
    before, after = _with_outputs(source, both), _with_outputs(lowered, both)
    difference = guard.compare(before, after, samples)
    if not difference.worst.error <= difference.bound:
        normal, _ = normalise(before, optimize.get("skip", ()), paranoid=True, inputs=samples)
        run_passes(normal, optimize["passes"], paranoid=True, inputs=samples)
        guard.check(before, after, samples, what="the passes together")


def _port(graph: Graph, name: str) -> tuple[Any, ...]:
    return graph.shapes.get(name), graph.dtypes.get(name), name in graph.inputs


def _with_outputs(graph: Graph, outputs: Sequence[str]) -> Graph:
    result = Graph(graph.name, graph.nodes, graph.inputs, list(outputs), graph.constants)
    result.shapes, result.dtypes, result.opset = graph.shapes, graph.dtypes, graph.opset
    result.metadata = graph.metadata
    return result
