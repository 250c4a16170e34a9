"""The operators of a TFLite model, one after the other, as nodes of a Graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from modelbuild.errors import ModelbuildError
from modelbuild.formats import tflite_schema as schema
from modelbuild.graph import edits as graph_edits
from modelbuild.graph import kept_quantization, shapes
from modelbuild.graph.model import Graph, Shape
from modelbuild.importers import input_shapes, sniff
from modelbuild.importers.channels_last import Writer
from modelbuild.importers.source import Source
from modelbuild.importers.tflite import (
    batches,
    borders,
    casting,
    constants,
    dilated,
    elementwise,
    indexing,
    known,
    model,
    reducing,
    shaping,
    trim,
    windows,
)
from modelbuild.importers.tflite.layer import Layer, Rule, State
from modelbuild.importers.tflite.model import Operator
from modelbuild.importers.tflite.refusals import refusal
from modelbuild.importers.tflite.strided_slice import strided_slice

RULES: Mapping[str, Rule] = {
    **batches.RULES,
    **casting.RULES,
    **elementwise.RULES,
    **indexing.RULES,
    **known.RULES,
    **reducing.RULES,
    **shaping.RULES,
    **windows.RULES,
    "STRIDED_SLICE": strided_slice,
}


def load(
    path: Path,
    shapes_given: Mapping[str, Shape] | None = None,
    edits: Sequence[graph_edits.Edit] = (),
    weights: Path | None = None,
) -> Graph:
    """The graph of the file `path` after `edits`, with `shapes_given` for inputs that it leaves open.

    Inputs and outputs of rank 4 and 5 are channels-first; what the file has is noted (`Source.layouts`).
    A quantized model is a float graph that keeps the file's scales (`graph.kept_quantization`). What a
    leading `cut` takes away is never looked at. Raises naming operator and reason for all that is not
    supported. `weights` is not used: the format has them in the same file.
    """
    try:
        return _load(path, shapes_given or {}, edits)
    except ModelbuildError as error:
        placed = [
            problem._replace(where=f"{path}, {problem.where}")
            if problem.where.startswith("offset ")
            else problem
            for problem in error.problems
        ]
        raise ModelbuildError.of(placed, error.exit_code) from error


def _load(path: Path, given: Mapping[str, Shape], edits: Sequence[graph_edits.Edit]) -> Graph:
    parsed = model.parse(sniff.read(path, own=(schema.IDENTIFIER,)))
    source = Source("tflite", parsed.producer, 0, 0, len(parsed.operators), comparable=False)
    own = [*parsed.inputs, *parsed.outputs]
    if parsed.others:
        source.notes.append(f"the file has {parsed.others} graphs beside the first, which are not read")
    trim.cut_away(parsed, edits)
    tensors, layers = [t.name for t in parsed.tensors], [operator.name for operator in parsed.operators]
    state = State(parsed, Writer(parsed.name, tensors, layers), constants.Constants(parsed))
    graph = _translated(state, given, source.notes)
    kept_quantization.keep(graph, borders.quantized_names(state))
    borders.restore_types(graph, state, own, source)
    shapes.infer(graph)
    own_inputs = graph.inputs
    if edits:
        graph = graph_edits.apply(graph, edits, state.writer.layouts(graph))
        shapes.infer(graph)
    source.layouts = state.writer.layouts(graph, edits)
    input_shapes.confirm(graph, given, own_inputs)
    source.attach(graph)
    return graph


def discover(path: Path) -> list[Path]:
    """No further files: a TFLite model is one."""
    return []


def _translated(state: State, given: Mapping[str, Shape], notes: list[str]) -> Graph:
    parsed = state.model
    if not parsed.outputs:
        raise ModelbuildError("the model has no outputs")
    dilated.fuse(parsed, state.values)
    keep_order = borders.channels_first_already(state)
    borders.add_inputs(state, given, keep_order, notes)
    for operator in parsed.operators:
        _translate(state, operator)
    if state.values.converted:
        notes.append(f"{state.values.converted} constants in half or double precision became float32")
    borders.add_constant_outputs(state)
    return state.writer.finish(list(dict.fromkeys(parsed.names(parsed.outputs))), keep_order)


def _translate(state: State, operator: Operator) -> None:
    rule = RULES.get(operator.op)
    if rule is None:
        before = [index for index in operator.inputs if index >= 0 and index not in state.model.inputs]
        tensors = [state.model.tensors[index] for index in before]
        raise refusal(operator, [tensor.name for tensor in tensors if tensor.span is None])
    layer = Layer(state, operator)
    if not operator.outputs:
        raise layer.wrong("makes nothing")
    for index in operator.outputs:
        tensor = state.model.tensors[index]
        layer.keep(tensor.name, constants.kept(tensor))
    state.writer.begin(operator.name)
    rule(layer)
