"""The guard on the user's own samples: what the chip gets gives what the import gave."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from modelbuild.graph import guard
from modelbuild.graph.model import Array, Graph
from modelbuild.graph.normalise import normalise
from modelbuild.graph.passes import run_passes

SAMPLES = 2  # of each set: a wrong pass shows in all


def check(
    source: Graph, lowered: Graph, samples: Sequence[Mapping[str, Array]], optimize: Mapping[str, Any]
) -> None:
    """Raises where an output differs, naming the pass that is wrong if one is alone.

    `lowered` is the whole model: with `tail: auto`, both parts together. `optimize`: what was said to
    `normalise` (`skip`), and the passes of `lower`."""
    if not samples or any(_port(source, name) != _port(lowered, name) for name in lowered.inputs):
        return  # samples for one are none for the other
    lowered, samples = _with_inputs_of(source, lowered), [_filled(source, sample) for sample in samples]
    difference = guard.compare(source, lowered, samples, random=0)  # each stage before has had its own
    if not difference.worst.error <= difference.bound:
        normal, _ = normalise(source, optimize.get("skip", ()), paranoid=True, inputs=samples)
        run_passes(normal, optimize["passes"], paranoid=True, inputs=samples)
        guard.check(source, lowered, samples, random=0, what="the passes together")


def _port(graph: Graph, name: str) -> tuple[Any, ...]:
    return graph.shapes.get(name), graph.dtypes.get(name), name in graph.inputs


def _with_inputs_of(source: Graph, lowered: Graph) -> Graph:
    """`lowered` with those inputs of `source`, too, that nothing reads: `tail: auto` leaves them out."""
    result = Graph(lowered.name, lowered.nodes, list(source.inputs), lowered.outputs, lowered.constants)
    unread = [name for name in source.inputs if name not in lowered.inputs]
    result.shapes = lowered.shapes | {name: source.shapes[name] for name in unread}
    result.dtypes = lowered.dtypes | {name: source.dtypes[name] for name in unread}
    result.opset, result.metadata = lowered.opset, lowered.metadata
    return result


def _filled(source: Graph, sample: Mapping[str, Array]) -> dict[str, Array]:
    """`sample`, with zeros for inputs that it lacks."""
    zeros = {name: np.zeros(source.shapes[name], source.dtypes[name]) for name in source.inputs}
    return {**zeros, **sample}
