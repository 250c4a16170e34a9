"""What Pads fill with, which the scale of the tensor around it has to hold too: no layer reads two scales."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from modelbuild.errors import EXIT_FAILED, ModelbuildError
from modelbuild.graph.model import Graph, Node
from modelbuild.quantize.plan import SHARING, Plan

Ends = tuple[float, float]
LARGEST_WINS = frozenset({"MaxPool", "GlobalMaxPool", "ReduceMax"})  # what is below all else is never seen


def fillings(graph: Graph, plan: Plan) -> dict[str, tuple[Node, float]]:
    """Root of the plan -> the constant furthest from 0 that is laid around one of its tensors, and the Pad.

    Left out are 0, which every scale has, and what only maxima read and is too low for them to take."""
    consumers = graph.consumers()
    found: dict[str, tuple[Node, float]] = {}
    for step in plan.steps:
        value = _value(graph, step.node)
        if value is None or (value < 0 and _is_hidden(graph, consumers, step.outputs[0])):
            continue
        root = plan.root(step.outputs[0])
        if root not in found or abs(value) > abs(found[root][1]):
            found[root] = step.node, value
    return found


def widened(filling: tuple[Node, float] | None, ends: Ends, codes: int) -> Ends:
    """The range, up to the constant. Raises (exit 1) where one of `codes` would stand for all else."""
    if filling is None or ends[0] <= filling[1] <= ends[1]:
        return ends
    node, value = filling
    reach = max(-ends[0], ends[1])
    if not math.isfinite(value) or 0 < reach * codes < abs(value):
        raise ModelbuildError(
            f"the Pad {node.name!r} fills with {value:g}, and what it fills around lies within {reach:.3g}",
            why=f"both have one scale: of {codes} codes one would stand for all that was calibrated",
            advice="fill with a number nearer to the others (what a MaxPool alone reads may be as low as it "
            "likes), or cut the model before it: `edit: [{cut: {outputs: [...]}}]`",
            exit_code=EXIT_FAILED,
        )
    return min(ends[0], value), max(ends[1], value)


def _value(graph: Graph, node: Node) -> float | None:
    """What a Pad fills with; None if that is 0, or unknown."""
    if node.op != "Pad" or node.attributes.get("mode", "constant") != "constant":
        return None
    constant = graph.constants.get(node.inputs[2]) if len(node.inputs) > 2 else None
    if constant is None or not constant.size or not graph.constants.get(node.inputs[1], np.ones(1)).any():
        return None
    return float(constant.reshape(-1)[0]) or None


def _is_hidden(graph: Graph, consumers: Mapping[str, list[Node]], tensor: str) -> bool:
    readers = consumers.get(tensor, [])
    return (
        bool(readers)
        and tensor not in graph.outputs
        and all(
            node.op in LARGEST_WINS
            or (node.op in SHARING and all(_is_hidden(graph, consumers, name) for name in node.outputs))
            for node in readers
        )
    )
