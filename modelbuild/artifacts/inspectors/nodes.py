"""The nodes of a model and their tensors, under the names that `edit:` and messages call them by."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import onnx

from modelbuild import importers
from modelbuild.artifacts.inspectors import onnx_shapes
from modelbuild.artifacts.inspectors.onnx_operators import text
from modelbuild.artifacts.kinds import Kind
from modelbuild.errors import ModelbuildError
from modelbuild.formats.tflite_schema import IDENTIFIER
from modelbuild.graph.model import Graph
from modelbuild.importers import functions, sniff, trim
from modelbuild.importers.onnx import parse
from modelbuild.importers.tflite import model as tflite
from modelbuild.quantize import fixed_onnx

Listed = list[dict[str, Any]]


def listed(path: Path, kind: Kind, weights: Path | None) -> Listed:
    """{name, op, reads, makes, shape} of each node, in order; `reads` without constants, `shape` that of the
    first tensor that it makes, or null where nothing tells it. ONNX and TFLite are read as far as that needs
    no import, so that a model which is refused shows where it can be cut.

    Raises (exit 2) for kinds of files that show no nodes."""
    if kind not in _READERS:
        raise ModelbuildError(
            f"--nodes: a file of the kind {kind} has no nodes with names",
            where=str(path),
            advice="inspect the model that it was made from",
        )
    return _READERS[kind](path, weights)


def _of_onnx(path: Path, weights: Path | None) -> Listed:
    model = functions.inlined(parse(path))
    trim.name_nodes(model)
    constants = {tensor.name for tensor in model.graph.initializer}
    shapes = _known_shapes(model)
    return [
        _entry(
            node.name,
            node.op_type,
            [name for name in node.input if name not in constants],
            list(node.output),
            shapes,
        )
        for node in model.graph.node
    ]


def _known_shapes(model: onnx.ModelProto) -> dict[str, list[int | str | None]]:
    """The shapes that the file states or that follow from it; of a damaged file, those it states."""
    graph = onnx_shapes.inferred(model, with_values=False) or model.graph
    return {
        value.name: [dim.dim_value or text(dim.dim_param) or None for dim in value.type.tensor_type.shape.dim]
        for value in (*graph.value_info, *graph.output)
        if value.type.tensor_type.HasField("shape")
    }


def _of_tflite(path: Path, weights: Path | None) -> Listed:
    model = tflite.parse(sniff.read(path, own=(IDENTIFIER,)))
    shapes = {tensor.name: list(tensor.shape) for tensor in model.tensors}
    variable = [
        [index for index in item.inputs if index >= 0 and model.tensors[index].span is None]
        for item in model.operators
    ]
    return [
        _entry(
            item.name,
            f"{item.op} {item.custom}".strip(),
            model.names(reads),
            model.names(item.outputs),
            shapes,
        )
        for item, reads in zip(model.operators, variable, strict=True)
    ]


def _of_imported(path: Path, weights: Path | None) -> Listed:
    return _of_graph(importers.load(path, None, (), weights))


def _of_graph(graph: Graph) -> Listed:
    return [
        _entry(
            node.name,
            node.op,
            [name for name in node.inputs if name not in graph.constants],
            node.outputs,
            {name: list(graph.shapes[name]) for name in node.outputs if name},
        )
        for node in graph.nodes
    ]


def _of_fixed(path: Path, weights: Path | None) -> Listed:
    model = fixed_onnx.read(path)
    shapes = {name: list(tensor.shape) for name, tensor in model.tensors.items()}
    return [
        _entry(item.name, item.kind, [n for n in item.inputs if n in shapes], list(item.outputs), shapes)
        for item in model.operators
    ]


def _entry(
    name: str, op: str, reads: list[str], makes: list[str], shapes: Mapping[str, list[Any]]
) -> dict[str, Any]:
    made = [item for item in makes if item]
    shape = shapes.get(made[0]) if made else None
    return {"name": name, "op": op, "reads": [item for item in reads if item], "makes": made, "shape": shape}


_READERS: Mapping[Kind, Callable[[Path, Path | None], Listed]] = {
    Kind.ONNX: _of_onnx,
    Kind.TFLITE: _of_tflite,
    Kind.FIXED_ONNX: _of_fixed,
    **dict.fromkeys((Kind.KERAS, Kind.HDF5, Kind.PROTOTXT), _of_imported),
}
