"""Ranges that the settings name, tensor by tensor."""

from __future__ import annotations

from modelbuild.errors import ModelbuildError, did_you_mean
from modelbuild.graph.model import Graph
from modelbuild.quantize.plan import Plan
from modelbuild.quantize.settings import Settings

METHOD = "given"  # in the record


def given_ranges(settings: Settings, graph: Graph, plan: Plan) -> dict[str, tuple[float, float]]:
    """Root of the plan -> its range: its own, else the first of those that share it.

    Raises (exit 2) for names that no tensor of the lowered model has, or one with a natural range.
    """
    tensors = plan.tensors(graph)
    for name in settings.ranges:
        if name not in tensors:
            raise ModelbuildError(
                f"quantize.ranges: the lowered model has no tensor {name!r}",
                advice=did_you_mean(name, tensors) or "the quantization record of a build names them",
            )
        if plan.root(name) in plan.natural:
            raise ModelbuildError(
                f"quantize.ranges: {name!r} has the range of the function that makes it", advice="take it out"
            )
    found: dict[str, tuple[float, float]] = {}
    for name in tensors:
        if name in settings.ranges:
            found.setdefault(plan.root(name), settings.ranges[name])
    return {root: settings.ranges.get(root, ends) for root, ends in found.items()}
