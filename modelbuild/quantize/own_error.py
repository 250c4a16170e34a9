"""What each layer of a fixed-point model adds to the error itself, whatever it was given."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from modelbuild.graph.fresh_names import fresh, tensors
from modelbuild.graph.model import Array, Graph
from modelbuild.graph.session import FloatSession
from modelbuild.graph.whole_numbers import floats_of
from modelbuild.quantize.measure import Difference
from modelbuild.quantize.plan import Step, make_plan

Arrays = Mapping[str, Array]


class OwnErrors:
    """Runs each layer in float on the values that the fixed-point model gave it, and holds what that makes
    against what the fixed-point model made: the errors of the layers before it are in both.

    `known` are the tensors whose values `add` will be given; a layer that reads or leaves others is left out.
    """

    def __init__(self, graph: Graph, known: Collection[str]) -> None:
        graph = floats_of(graph)
        plan = make_plan(graph)
        self._steps = [step for step in plan.steps if _is_known(graph, step, known)]
        self._differences = {name: Difference() for step in self._steps for name in step.outputs}
        apart, self._fed = _apart(graph, self._steps)
        self._session = FloatSession(apart) if self._steps else None

    def add(self, found: Arrays) -> None:
        """The values of one sample, as real numbers."""
        if self._session is None:
            return
        made = self._session.run({fed: found[name] for name, fed in self._fed.items()})
        for name, difference in self._differences.items():
            difference.add(made[name], found[name])

    def to_json(self) -> list[dict[str, Any]]:
        """{name, node, op, own_snr_db}, a tensor each, in the order of execution."""
        return [
            {
                "name": name,
                "node": step.node.name,
                "op": step.node.op,
                "own_snr_db": self._differences[name].snr_db,
            }
            for step in self._steps
            for name in step.outputs
        ]


def _is_known(graph: Graph, step: Step, known: Collection[str]) -> bool:
    names = (*_read(graph, step), *step.outputs)
    return all(name in known and graph.dtypes[name].kind == "f" for name in names)


def _read(graph: Graph, step: Step) -> list[str]:
    """What comes from outside of the step and is not constant."""
    inside = {name for node in step.nodes for name in node.outputs}
    read = [name for node in step.nodes for name in node.inputs if name]
    return [name for name in dict.fromkeys(read) if name not in inside and name not in graph.constants]


def _apart(graph: Graph, steps: list[Step]) -> tuple[Graph, dict[str, str]]:
    """A graph in which every step reads inputs of the graph; and tensor -> that input."""
    fed: dict[str, str] = {}
    taken = tensors(graph)
    nodes = []
    for step in steps:
        read = _read(graph, step)
        fed |= {name: fresh(f"{name}/fed", taken) for name in read if name not in fed}
        renamed = {name: fed[name] for name in read}
        nodes += [
            replace(node, inputs=[renamed.get(name, name) for name in node.inputs]) for node in step.nodes
        ]
    used = {name for node in nodes for name in node.inputs}
    apart = Graph(
        graph.name,
        nodes,
        list(fed.values()),
        [name for step in steps for name in step.outputs],
        {name: values for name, values in graph.constants.items() if name in used},
        {**graph.shapes, **{new: graph.shapes[name] for name, new in fed.items()}},
        {**graph.dtypes, **{new: graph.dtypes[name] for name, new in fed.items()}},
        graph.opset,
    )
    return apart, fed
