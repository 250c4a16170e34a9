"""Lowered graph + quantization record -> the fixed-point model, with integers and element-wise IEEE
operations only, so that a record gives the same bytes on any machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from modelbuild.arithmetic.fixed_model import FixedModel
from modelbuild.arithmetic.validation import validate
from modelbuild.chips.recipe import Recipe
from modelbuild.errors import EXIT_FAILED, EXIT_USER, ModelbuildError
from modelbuild.graph import kept_quantization
from modelbuild.graph.model import Graph
from modelbuild.quantize.assembly import Assembly
from modelbuild.quantize.builders import BUILDERS
from modelbuild.quantize.number_format import formats_of
from modelbuild.quantize.plan import Plan, make_plan
from modelbuild.quantize.record import Record
from modelbuild.quantize.record_checks import check_record
from modelbuild.quantize.settings import Settings
from modelbuild.quantize.split_graph import Split
from modelbuild.quantize.split_record import metadata, of_record

SWITCHED = {"symmetric": True, "per_channel": False}  # what every chip can do; the opposite is the chip's own


@dataclass(frozen=True)
class Start:
    """A record and the graph that it speaks of, held against each other: what every lowering starts from."""

    assembly: Assembly
    plan: Plan
    made: Split

    def metadata(self) -> dict[str, str]:
        """Of the fixed model: how its tensors compare with those of the lowered graph."""
        graph = self.assembly.graph
        return {
            **kept_quantization.metadata(graph),
            **self.assembly.equalized.metadata(self.plan.tensors(graph)),
            **metadata(self.made),
        }


def prepared(graph: Graph, units: Mapping[str, str], record: Record, recipe: Recipe) -> Start:
    """The assembly of `graph` as `record` says, with no operator yet.

    Raises (exit 2) where the record does not belong to this graph or chip.
    """
    words = dict(part.partition("=")[::2] for part in record.format.split())
    switches = {"symmetric": words.get("symmetric") == "yes", "per_channel": words.get("per_channel") != "no"}
    given = {key: switches[key] for key, value in SWITCHED.items() if switches[key] is value}
    chosen = Settings.read({key: words.get(key) for key in ("activations", "weights")} | given)
    try:
        formats = formats_of(recipe.number_format, chosen)
    except ModelbuildError as error:
        found = error.problems[0]
        record.places.refuse("format", found.what, found.why, found.advice)
    if record.arithmetic != recipe.number_format.arithmetic or record.format != formats.to_text():
        record.places.refuse(
            "format",
            f"the quantization record is for {record.arithmetic}, {record.format}",
            why=f"{recipe.chip} needs {recipe.number_format.arithmetic}, {formats.to_text()}",
            advice="quantize again for this chip",
        )
    made = of_record(graph, record)
    graph, units = made.graph, made.units(units)
    plan = make_plan(graph)
    check_record(graph, plan, record)
    return Start(Assembly(graph, plan, record, formats, units), plan, made)


def apply(graph: Graph, units: Mapping[str, str], record: Record, recipe: Recipe) -> FixedModel:
    """The fixed model of `graph` as `record` says; `units` maps node names to npu | fused | cpu.

    Raises (exit 1) naming a node that has no fixed-point form or whose sums could overflow, and (exit 2)
    where the record does not belong to this graph or chip.
    """
    start = prepared(graph, units, record, recipe)
    assembly, plan = start.assembly, start.plan
    graph = assembly.graph
    for name in graph.inputs:
        assembly.declare(name)
    for step in plan.steps:
        assembly.begin(step)
        build = BUILDERS.get(step.node.op)
        if build is None or step.node.domain:
            assembly.fail("there is no rule for this operator")
        build(assembly)
    model = FixedModel(
        graph.name,
        record.arithmetic,
        recipe.chip,
        tuple(graph.inputs),
        tuple(graph.outputs),
        assembly.tensors,
        assembly.constants,
        tuple(assembly.operators),
        start.metadata(),
    )
    edited = record.places.given and record.is_edited  # else it is we who were wrong
    validate(model, EXIT_USER if edited else EXIT_FAILED)
    return model
