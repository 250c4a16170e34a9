"""Ranges that the settings name, tensor by tensor."""

from __future__ import annotations

from modelbuild.errors import ModelbuildError, did_you_mean
from modelbuild.graph.model import Graph
from modelbuild.quantize.plan import Plan
from modelbuild.quantize.ports import port_tensor
from modelbuild.quantize.settings import Settings

METHOD = "given"  # in the record


def given_ranges(settings: Settings, graph: Graph, plan: Plan) -> dict[str, tuple[float, float]]:
    """Root of the plan -> its range: its own, or that of tensors that share it.

    Raises (exit 2) for names that no tensor of the lowered model has, that of one with a natural range or
    with the source's codes, and for ranges that contradict each other.
    """
    tensors = plan.tensors(graph)
    for name in settings.ranges:
        if name not in tensors:
            raise ModelbuildError(
                f"quantize.ranges: the lowered model has no tensor {name!r}",
                advice=did_you_mean(name, tensors) or "the quantization record of a build names them",
            )
        if port_tensor(graph, name) is not None:
            raise ModelbuildError(
                f"quantize.ranges: {name!r} has the range of the source's codes", advice="take it out"
            )
        if plan.root(name) in plan.natural:
            raise ModelbuildError(
                f"quantize.ranges: {name!r} has the range of the function that makes it", advice="take it out"
            )
    found: dict[str, tuple[float, float]] = {}
    first: dict[str, str] = {}
    for name in tensors:
        if name not in settings.ranges:
            continue
        root, ends = plan.root(name), settings.ranges[name]
        if found.setdefault(root, ends) != ends:
            raise ModelbuildError(
                f"quantize.ranges: {name} is {list(ends)}, but {first[root]} is {list(found[root])}",
                why="both have the same scale",
                advice="give both the same range, or name one of them",
            )
        first.setdefault(root, name)
    return found
