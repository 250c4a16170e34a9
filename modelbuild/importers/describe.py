"""What a model file says of its inputs and outputs, without importing it: for `init`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import onnx

from modelbuild.importers import importer_for
from modelbuild.importers.onnx import parse


@dataclass(frozen=True)
class Border:
    """An input of the file. A dimension that it leaves open is None."""

    name: str
    shape: tuple[int | None, ...]
    dtype: str


def describe(path: Path) -> tuple[tuple[Border, ...], tuple[str, ...]]:
    """(inputs, names of outputs) of an ONNX file. Initializers among the inputs are left out.

    Raises ModelbuildError for a file that is no model, or in a format that is not read."""
    importer_for(path)
    graph = parse(path).graph
    constants = {initializer.name for initializer in graph.initializer}
    inputs = tuple(_border(value) for value in graph.input if value.name not in constants)
    return inputs, tuple(value.name for value in graph.output)


def _border(value: onnx.ValueInfoProto) -> Border:
    tensor = value.type.tensor_type
    dims = tuple(dim.dim_value if dim.dim_value > 0 else None for dim in tensor.shape.dim)
    return Border(value.name, dims, onnx.TensorProto.DataType.Name(tensor.elem_type).lower())
