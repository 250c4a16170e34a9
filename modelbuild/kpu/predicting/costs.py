"""What single nodes on the CPU cost, with the conversions that are there for them alone."""

from __future__ import annotations

from collections.abc import Mapping

from modelbuild.arithmetic.fixed_model import FixedOperator
from modelbuild.chips.recipe import Recipe
from modelbuild.errors import ModelbuildError
from modelbuild.graph.model import Graph
from modelbuild.kpu.predicting.prediction import predict


def cpu_times(graph: Graph, units: Mapping[str, str], recipe: Recipe) -> dict[str, float]:
    """Node on the CPU -> ms of one run, as `evaluate` counts them: its floats are made of bytes, and bytes of
    these for the layer behind it. Empty where no time can be told, which `evaluate` and the build explain."""
    try:
        found = predict(graph, units, recipe)
    except ModelbuildError:
        return {}
    operators = {operator.name: operator for operator in found.model.operators}
    makers = {name: operator for operator in found.model.operators for name in operator.outputs}
    read = {name for operator in found.model.operators for name in operator.inputs}
    ports = {*found.model.outputs} - read
    times: dict[str, float] = {}
    for one in found.on_cpu:
        operator = operators.get(one.name)
        if operator is not None and operator.kind == "dequantize" and operator.outputs[0] in ports:
            continue  # of an output: no node's own
        nodes = one.nodes if operator is None else _nodes(operator, makers, units)
        charged = [name for name in nodes if units.get(name) == "cpu"]
        for name in charged:
            times[name] = times.get(name, 0.0) + found.cpu_ms(one.work.operations) / len(charged)
    return times


def _nodes(
    operator: FixedOperator, makers: Mapping[str, FixedOperator], units: Mapping[str, str]
) -> tuple[str, ...]:
    """The nodes for which it is there: of bytes that a layer reads, those that made the floats."""
    own = any(units.get(name) == "cpu" for name in operator.origin)
    maker = makers.get(operator.inputs[0]) if operator.kind == "quantize" and not own else None
    return operator.origin if maker is None else maker.origin
