"""Ranges that the settings name, tensor by tensor."""

from __future__ import annotations

from modelbuild.errors import ModelbuildError, did_you_mean
from modelbuild.graph.model import Graph
from modelbuild.quantize.observations import Observations, TensorObservation
from modelbuild.quantize.padding import fillings
from modelbuild.quantize.plan import Plan
from modelbuild.quantize.ports import port_tensor
from modelbuild.quantize.settings import Settings

METHOD = "given"  # in the record
MOST_APART = 2.0**16  # given and observed: as many codes as 16 bits have


def given_ranges(
    settings: Settings, graph: Graph, plan: Plan, observations: Observations | None = None
) -> dict[str, tuple[float, float]]:
    """Root of the plan -> its range: its own, or that of tensors that share it.

    Raises (exit 2) for names that no tensor of the lowered model has, that of one with a natural range or
    with the source's codes, for ranges that contradict each other, and for those that leave one code for all
    that was observed.
    """
    tensors = plan.tensors(graph)
    for name, ends in settings.ranges.items():
        where = f"quantize.ranges.{name}"
        if name not in tensors:
            raise ModelbuildError(
                f"quantize.ranges: the lowered model has no tensor {name!r}",
                where=where,
                advice=did_you_mean(name, tensors) or "the quantization record of a build names them",
            )
        if port_tensor(graph, name) is not None:
            raise ModelbuildError(
                f"quantize.ranges: {name!r} has the range of the source's codes",
                where=where,
                advice="take it out",
            )
        if plan.root(name) in plan.natural:
            raise ModelbuildError(
                f"quantize.ranges: {name!r} has the range of the function that makes it",
                where=where,
                advice="take it out",
            )
        if observations is not None and name in observations.tensors:
            _check_reach(name, ends, observations.tensors[name], where)
    found: dict[str, tuple[float, float]] = {}
    first: dict[str, str] = {}
    for name in tensors:
        if name not in settings.ranges:
            continue
        root, ends = plan.root(name), settings.ranges[name]
        if found.setdefault(root, ends) != ends:
            raise ModelbuildError(
                f"quantize.ranges: {name} is {list(ends)}, but {first[root]} is {list(found[root])}",
                where=f"quantize.ranges.{name}",
                why="both have the same scale",
                advice="give both the same range, or name one of them",
            )
        first.setdefault(root, name)
    for root, (node, value) in fillings(graph, plan).items():
        if root in found and not found[root][0] <= value <= found[root][1]:
            low, high = found[root]
            raise ModelbuildError(
                f"quantize.ranges: {first[root]!r} is given {low:g} to {high:g}, and the Pad {node.name!r} "
                f"fills with {value:g}",
                where=f"quantize.ranges.{first[root]}",
                why="both have the same scale",
                advice=f"write [{min(low, value):g}, {max(high, value):g}], or take it out",
            )
    return found


def _check_reach(name: str, ends: tuple[float, float], seen: TensorObservation, where: str) -> None:
    low, high = float(seen.channel_low.min()), float(seen.channel_high.max())
    reach, given = max(-low, high, 0.0), max(-ends[0], ends[1], 0.0)
    if reach and not reach / MOST_APART <= given <= reach * MOST_APART:
        raise ModelbuildError(
            f"quantize.ranges: {name!r} is given {ends[0]:g} to {ends[1]:g}, and holds {low:g} to {high:g}",
            where=where,
            why="one code would stand for nearly all that it held on the calibration samples",
            advice=f"write [{low:g}, {high:g}] or near it, or take it out: the range is then chosen",
        )
