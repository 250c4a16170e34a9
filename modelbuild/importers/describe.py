"""What a model file says of its inputs and outputs; an ONNX file without being imported: for `init`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import onnx

from modelbuild.importers import check_weights, importer_for, load
from modelbuild.importers.onnx import parse


@dataclass(frozen=True)
class Border:
    """An input of the file. A dimension that it leaves open is None; `dims` are their names there."""

    name: str
    shape: tuple[int | None, ...]
    dtype: str
    dims: tuple[str, ...] = ()
    resizes: bool = False  # whether the model takes other sizes of the same rank, too

    @property
    def shown(self) -> str:
        """The shape as messages show it: open dimensions by name, as in `[batch, 3, ?, 8]`."""
        names = self.dims or ("",) * len(self.shape)
        known = zip(self.shape, names, strict=True)
        return f"[{', '.join(str(size) if size is not None else name or '?' for size, name in known)}]"


def describe(path: Path, weights: Path | None = None) -> tuple[tuple[Border, ...], tuple[str, ...]]:
    """(inputs, names of outputs) of a model file. Of ONNX, initializers among the inputs are left out; files
    of other formats are imported, `weights` with them.

    Raises ModelbuildError for a file that is no model, or in a format that is not read."""
    importer = importer_for(path)
    check_weights(importer, weights)
    if importer.format != "onnx":
        made = load(path, None, (), weights)
        ports = (
            Border(name, made.shapes[name], str(made.dtypes[name]), resizes=importer.resizes)
            for name in made.inputs
        )
        return tuple(ports), tuple(made.outputs)
    graph = parse(path).graph
    constants = {initializer.name for initializer in graph.initializer}
    inputs = tuple(_border(value) for value in graph.input if value.name not in constants)
    return inputs, tuple(value.name for value in graph.output)


def _border(value: onnx.ValueInfoProto) -> Border:
    tensor = value.type.tensor_type
    dims = tuple(dim.dim_value if dim.dim_value > 0 else None for dim in tensor.shape.dim)
    kind = onnx.TensorProto.DataType.Name(tensor.elem_type).lower()
    return Border(value.name, dims, kind, tuple(dim.dim_param for dim in tensor.shape.dim))
