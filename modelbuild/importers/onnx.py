"""ONNX files of opset 7 to the newest -> Graph at the working opset, static, float32."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError
from onnx import ModelProto

from modelbuild.errors import ModelbuildError
from modelbuild.graph import edits as graph_edits
from modelbuild.graph import onnx_io, shapes
from modelbuild.graph.model import Graph, Shape
from modelbuild.importers import (
    branches,
    external_data,
    functions,
    input_shapes,
    opset,
    precision,
    qdq,
    qdq_int4,
    refused,
    sniff,
    training,
    trim,
)
from modelbuild.importers.source import Source, layouts_of


def load(
    path: Path,
    shapes_given: Mapping[str, Shape] | None = None,
    edits: Sequence[graph_edits.Edit] = (),
    weights: Path | None = None,
) -> Graph:
    """The graph of the ONNX file `path` after `edits`, with `shapes_given` for inputs that it leaves open.
    Its weights are in it, or in files that it names.

    What `cut` takes away is never looked at, so that a tail that is not supported can be cut off. The graph
    has opset 17, static shapes and float32; what was changed is noted (`importers.source.source_of`). Raises
    for everything that is not a complete, supported model, naming file, node and reason.
    """
    try:
        return _load(path, shapes_given or {}, edits)
    except ModelbuildError as error:
        raise sniff.located(error, path) from error


def parse(path: Path) -> ModelProto:
    """The model as the file has it, nothing checked but that it is one."""
    try:
        return _parse(path)
    except ModelbuildError as error:
        raise sniff.located(error, path) from error


def discover(path: Path) -> list[Path]:
    """The external data files that the model `path` names, in order; existing or not."""
    try:
        return external_data.files(_parse(path), path)
    except ModelbuildError as error:
        raise sniff.located(error, path) from error


def _load(path: Path, shapes_given: Mapping[str, Shape], edits: Sequence[graph_edits.Edit]) -> Graph:
    model = _parse(path)
    source = Source(
        "onnx",
        f"{model.producer_name} {model.producer_version}".strip(),
        onnx_io.opset_of(model),
        int(model.ir_version),
        len(model.graph.node),
    )
    opset.check_format(source.ir_version)
    opset.check_version(source.opset)
    model = functions.inlined(model)
    trim.name_nodes(model)
    unnamed = trim.name_parts(model)
    trim.check_names(model)
    trim.cut_away(model, edits)
    trim.drop_unused(model, source.notes)
    _refuse_unsupported(model)
    qdq_int4.widen(model)
    branches.take(model, path, shapes_given, source.notes)
    _refuse_unsupported(model)
    graph = onnx_io.from_model(model, external_data.read(model, path))
    input_shapes.fix(graph, model, shapes_given)
    source.comparable = not precision.to_float32(graph, source.notes) and not unnamed
    if training.settle_normalizations(graph, source.notes):
        source.comparable = False
    if qdq.is_quantized(graph):
        qdq.rewrite(graph, source.notes)
        source.quantized, source.comparable = source.comparable, False
    training.drop_masks(graph)
    shapes.infer(graph)
    training.settle_dropouts(graph)
    opset.convert(graph, source.notes)
    shapes.infer(graph)
    own_inputs = graph.inputs
    if edits:
        graph = graph_edits.apply(graph, edits)
        source.comparable = source.quantized = False
    else:  # edits may change what a border is
        source.layouts = _converted_from(graph)
    input_shapes.confirm(graph, shapes_given, own_inputs)
    if not graph.outputs:
        raise ModelbuildError("the model has no outputs")
    source.attach(graph)
    return graph


def _converted_from(graph: Graph) -> dict[str, str]:
    """The layouts of the source that a file of `convert` was made of, for its borders; damaged metadata, or
    somebody else's, tells none."""
    try:
        found = layouts_of(graph)
    except (ValueError, AttributeError, AssertionError, RecursionError):
        return {}
    borders = {*graph.inputs, *graph.outputs}
    return {
        name: layout
        for name, layout in found.items()
        if name in borders and len(graph.shapes[name]) == len(layout)
    }


def _parse(path: Path) -> ModelProto:
    data = sniff.read(path)
    try:
        model = onnx.load_model_from_string(data)
    except DecodeError as error:
        raise sniff.damaged(data, str(error)) from error
    if not model.HasField("graph") or not (model.graph.node or model.graph.output):
        raise sniff.damaged(data, "it holds no graph")
    trim.check_text(model)
    return model


def _refuse_unsupported(model: ModelProto) -> None:
    for node in model.graph.node:
        if node.domain == qdq.VENDOR and node.op_type in qdq.VENDORS:
            node.domain = ""
        refused.refuse(node)
