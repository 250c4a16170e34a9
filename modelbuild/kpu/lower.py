"""Lowered graph + quantization record -> the fixed model of a chip with a KPU, or of one that computes with
floats alone, where there is no record."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from modelbuild.arithmetic.fixed_model import FixedModel
from modelbuild.arithmetic.validation import validate
from modelbuild.chips.recipe import Recipe
from modelbuild.errors import EXIT_FAILED, EXIT_USER
from modelbuild.graph import kept_quantization
from modelbuild.graph.model import Graph
from modelbuild.graph.whole_numbers import chosen, floats_of
from modelbuild.kpu.lowering import (
    border,
    builders,
    composed,
    floats,
    matrix_products,
    moves,
    picking,
    reductions,
    windows,
)
from modelbuild.kpu.lowering.choosing import Behind
from modelbuild.kpu.lowering.functions import OPERATORS, is_simple, of_chain
from modelbuild.kpu.lowering.layered import on_kpu
from modelbuild.kpu.lowering.lowering import FLOATS, Lowering
from modelbuild.kpu.lowering.moving import Wanted
from modelbuild.kpu.lowering.wanted import wanted_as_bytes
from modelbuild.kpu.ports import Ports, finish_outputs, with_inputs, with_outputs
from modelbuild.quantize.apply import prepared
from modelbuild.quantize.plan import Plan, Step, make_plan
from modelbuild.quantize.record import Record

BUILDERS = {
    **moves.BUILDERS,
    **picking.BUILDERS,
    **windows.BUILDERS,
    **matrix_products.BUILDERS,
    **reductions.BUILDERS,
    **composed.BUILDERS,
    **border.BUILDERS,
}


class _Start(NamedTuple):
    lowering: Lowering
    plan: Plan
    metadata: Mapping[str, str]


def lower(
    graph: Graph,
    units: Mapping[str, str],
    record: Record | None,
    recipe: Recipe,
    told: Callable[[int, int, str], None] = lambda done, count, what: None,
    asked: Ports | None = None,
) -> FixedModel:
    """The fixed model of `graph`; `units` maps node names to npu | fused | cpu. `told` hears how many layers
    are done, of how many. `asked`: inputs and outputs that are to hold bytes.

    Raises (exit 1) naming a node that cannot be lowered, and (exit 2) where the record does not belong to
    this graph or chip.
    """
    behind = chosen(graph)
    start = _started(floats_of(graph, behind), units, record, recipe)
    lowering = start.lowering
    wanted = lowering.wanted = wanted_as_bytes(lowering)
    done: set[str] = set()
    for number, step in enumerate(start.plan.steps, 1):
        if step.node.name not in done:
            lowering.begin(step)
            done |= _lower(lowering, wanted)
        told(number, len(start.plan.steps), "layer")
    Behind(lowering, behind, graph.outputs).build()
    outputs = finish_outputs(lowering, graph, asked or {})
    model = FixedModel(
        graph.name,
        recipe.number_format.arithmetic,
        recipe.chip,
        tuple(lowering.graph.inputs),
        tuple(graph.outputs),
        lowering.parts.tensors,
        lowering.parts.constants,
        tuple(lowering.parts.operators),
        start.metadata,
    )
    if asked:
        model = with_inputs(lowering, with_outputs(model, outputs), asked)
    edited = record is not None and record.places.given and record.is_edited
    validate(model, EXIT_USER if edited else EXIT_FAILED)
    return model


def _started(graph: Graph, units: Mapping[str, str], record: Record | None, recipe: Recipe) -> _Start:
    if record is None:
        plan = make_plan(graph)
        lowering = Lowering(graph, plan, units, None, recipe.hardware)
        return _Start(lowering, plan, kept_quantization.metadata(graph))
    start = prepared(graph, units, record, recipe)
    own = start.made.units(units)
    lowering = Lowering(start.assembly.graph, start.plan, own, start.assembly, recipe.hardware)
    return _Start(lowering, start.plan, start.metadata())


def _lower(lowering: Lowering, wanted: Wanted) -> set[str]:
    """Builds what the step leads; the names of all nodes that are built with it."""
    node = lowering.node
    if on_kpu(lowering, node):
        return {each.name for each in builders.BUILDERS[node.op](lowering)}
    looked_up = _looked_up(lowering, wanted)
    if looked_up:
        return looked_up
    step = lowering.step
    if len(step.nodes) > 1 and node.op in OPERATORS and node.op in floats.FORMULAS:  # a gate and its product
        for each in step.nodes:
            lowering.begin(Step((each,)))
            floats.BUILDERS[each.op](lowering)
    elif node.domain or (node.op not in BUILDERS and node.op not in floats.BUILDERS):
        lowering.fail("there is no rule for this operator")
    elif node.op in BUILDERS:
        BUILDERS[node.op](lowering, wanted)
    else:
        floats.BUILDERS[node.op](lowering)
    return {each.name for each in step.nodes}


def _looked_up(lowering: Lowering, wanted: Wanted) -> set[str]:
    """Functions in a row that are wanted as bytes, as one table of 256 bytes."""
    node = lowering.node
    chain = lowering.chains.of(node) if node.op in OPERATORS and lowering.assembly is not None else None
    if chain is None or chain.end not in wanted:
        return set()
    if lowering.has(chain.start, FLOATS) and is_simple(chain):
        return set()
    lowering.begin(Step(chain.nodes))
    x = lowering.bytes(chain.start)
    lowering.lookup(x, lowering.new_bytes(chain.end), of_chain(chain))
    return {each.name for each in chain.nodes}
