"""The fixed model that `apply` would make, without the numbers of weights and samples: what `evaluate` plans.

The lowering itself makes it, from a record of scale 1 everywhere and weights of zeros, so that layers, units,
shapes and order are those of the real one. What nothing can lower is left out, and its neighbours become
inputs and outputs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from modelbuild.arithmetic.fixed_model import FixedModel
from modelbuild.chips.recipe import Recipe
from modelbuild.errors import EXIT_FAILED, ModelbuildError
from modelbuild.graph.model import Array, Graph, Node
from modelbuild.graph.quantized_border import scale_and_zero
from modelbuild.graph.whole_numbers import floats_of
from modelbuild.kpu.lower import lower
from modelbuild.kpu.ports import Ports
from modelbuild.quantize.number_format import formats_of
from modelbuild.quantize.plan import make_plan
from modelbuild.quantize.record import Record, TensorRecord
from modelbuild.quantize.settings import Settings
from modelbuild.quantize.weighted import weighted

_WEIGHTED = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
_NOWHERE = "none"
_FEW = 3  # nodes that are named where all are left out


@dataclass(frozen=True)
class Outline:
    """`left_out`: nodes that are none of the model's, and why."""

    model: FixedModel
    left_out: Mapping[str, str]


def outline(
    graph: Graph, units: Mapping[str, str], recipe: Recipe, settings: Settings, ports: Ports
) -> Outline:
    """Of a lowered graph, whose nodes run on `units` (npu | fused | cpu | none), with ports of these formats.
    Raises (exit 2) for formats that the chip lacks, and (exit 1) where nothing of the model is left."""
    left_out = {
        node.name: "nothing on the chip runs it" for node in graph.nodes if units[node.name] == _NOWHERE
    }
    while True:
        rest = _without(_lean(graph), left_out)
        if not rest.nodes:
            raise _nothing_left(graph, recipe, left_out)
        try:
            return Outline(_lowered(rest, units, recipe, settings, _of(ports, graph, rest)), left_out)
        except ModelbuildError as error:
            refused = _refused(error, rest)
            if refused is None:
                raise
            left_out = {**left_out, refused: error.problems[0].why or error.problems[0].what}


def _of(ports: Ports, graph: Graph, rest: Graph) -> Ports:
    """The formats of those that are left."""
    gone = {*graph.inputs, *graph.outputs} - {*rest.inputs, *rest.outputs}
    return {
        side: {name: form for name, form in formats.items() if name not in gone}
        for side, formats in ports.items()
    }


def _lowered(
    graph: Graph, units: Mapping[str, str], recipe: Recipe, settings: Settings, ports: Ports
) -> FixedModel:
    if not any(unit == "npu" for unit in units.values()) and recipe.number_format.arithmetic == "float32":
        return lower(graph, units, None, recipe)
    return lower(graph, units, _record(floats_of(graph), recipe, settings), recipe, asked=ports)


def _record(graph: Graph, recipe: Recipe, settings: Settings) -> Record:
    """A line for everything, at scale 1; of what an input of codes stands for, at its own."""
    formats = formats_of(recipe.number_format, settings)
    form, plan = formats.activation, make_plan(graph)
    borders = _borders(graph)
    names = dict.fromkeys(plan.tensors(graph))
    lines = [
        _line(name, _kind(graph, name), form.bits, form.signed, *borders.get(plan.root(name), (1.0, 0)))
        for name in names
    ]
    found = (weighted(graph, step.node) for step in plan.steps)
    weights = sorted({one.name for one in found if one is not None})
    lines += [_line(name, "weight", formats.weight_bits, True, None, None) for name in weights]
    return Record(graph.name, recipe.number_format.arithmetic, formats.to_text(), "none", 0, tuple(lines))


def _borders(graph: Graph) -> dict[str, tuple[float, int]]:
    """Scale and zero point of the tensors that inputs of uint8 codes stand for."""
    return {
        node.outputs[0]: scale_and_zero(graph, node)
        for node in graph.nodes
        if node.op == "DequantizeLinear" and str(graph.dtypes[node.inputs[0]]) == "uint8"
    }


def _line(
    name: str, kind: str, bits: int, signed: bool, scale: float | None, zero: int | None
) -> TensorRecord:
    return TensorRecord(name, kind, bits, signed, scale, zero, 0.0, 255.0, "natural", None)


def _kind(graph: Graph, name: str) -> str:
    return "input" if name in graph.inputs else "output" if name in graph.outputs else "activation"


def _lean(graph: Graph) -> Graph:
    """With zeros for weights and biases, whose values decide nothing here."""
    found = {
        name
        for node in graph.nodes
        if node.op in _WEIGHTED
        for name in node.inputs[1:3]
        if name in graph.constants
    }
    constants: dict[str, Array] = {
        name: np.zeros_like(value) if name in found else value for name, value in graph.constants.items()
    }
    return replace(graph, constants=constants)


def _without(graph: Graph, left_out: Mapping[str, str]) -> Graph:
    """The graph without some nodes: what they made is an input, what they read is an output."""
    if not left_out:
        return graph
    nodes = [node for node in graph.nodes if node.name not in left_out]
    made = {name for node in nodes for name in node.outputs if name}
    read = dict.fromkeys(name for node in nodes for name in node.inputs if name)
    inputs = [name for name in read if name not in made and name not in graph.constants]
    return replace(graph, nodes=nodes, inputs=inputs, outputs=_outputs(graph, nodes))


def _outputs(graph: Graph, nodes: Sequence[Node]) -> list[str]:
    read = {name for node in nodes for name in node.inputs}
    made = (name for node in nodes for name in node.outputs if name)
    return [name for name in made if name in graph.outputs or name not in read]


def _nothing_left(graph: Graph, recipe: Recipe, left_out: Mapping[str, str]) -> ModelbuildError:
    ops = {node.name: node.op for node in graph.nodes}
    listed = [f"{ops[name]} {name!r}: {why}" for name, why in left_out.items()]
    more = [f"and {len(listed) - _FEW} more"] if len(listed) > _FEW else []
    return ModelbuildError(
        f"no {recipe.container.format} for {recipe.chip} can have any node of {graph.name}",
        why="; ".join([*listed[:_FEW], *more]) or "the model has no nodes",
        advice="replace these nodes by others, or take another chip",
        exit_code=EXIT_FAILED,
    )


def _refused(error: ModelbuildError, graph: Graph) -> str | None:
    """The node that an error names."""
    where = error.problems[0].where or ""
    return next((node.name for node in graph.nodes if where == f"node {node.name!r}"), None)
