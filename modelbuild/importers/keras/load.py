"""A Keras file -> Graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from modelbuild.errors import ModelbuildError
from modelbuild.formats import hdf5
from modelbuild.formats.hdf5 import Group
from modelbuild.graph import edits as graph_edits
from modelbuild.graph import shapes
from modelbuild.graph.model import Graph, Shape
from modelbuild.importers import channels_last_operators as ops
from modelbuild.importers import input_shapes
from modelbuild.importers.channels_last import Writer
from modelbuild.importers.keras import archive, config, function_table, precision, refusing, wiring
from modelbuild.importers.keras.call import Call
from modelbuild.importers.keras.inputs import shape_of
from modelbuild.importers.keras.operators import OPERATORS
from modelbuild.importers.keras.weights import CONTAINERS, Weights
from modelbuild.importers.keras.wiring import Input, Wired
from modelbuild.importers.sniff import located
from modelbuild.importers.source import Source

_OPTIMIZER = "optimizer_weights"
_DTYPES = ("float32", "float16", "bfloat16", "float64", "uint8", "int8", "int32", "int64")


def load(
    path: Path,
    shapes_given: Mapping[str, Shape] | None = None,
    edits: Sequence[graph_edits.Edit] = (),
    weights_path: Path | None = None,
) -> Graph:
    """The graph of the Keras model `path`, with the weights of `weights_path` where they lie apart, after
    `edits`. An open batch is 1; other open dimensions are those of `shapes_given` (channels-first).

    What a leading `cut` takes away is never looked at. Raises naming the layer for all that is not supported.
    """
    file = _opened(path)
    read = file.read if weights_path is None else partial(_weights, weights_path)
    version = _major(file.version)
    model = config.parse(file.text, version)
    laid_out = wiring.pruned(wiring.wired(model), edits)
    source = Source("keras", f"keras {file.version}", 0, 0, len(laid_out.steps))
    weights = Weights(read, model)
    writer = _Translation(laid_out, weights, version, path.name).writer(shapes_given or {}, source)
    graph = writer.graph
    shapes.infer(graph)
    own_inputs = graph.inputs
    if edits:
        graph = graph_edits.apply(graph, edits, writer.layouts(graph))
        shapes.infer(graph)
        source.comparable = False
    input_shapes.confirm(graph, shapes_given or {}, own_inputs)
    source.layouts = writer.layouts(graph, edits)
    source.attach(graph)
    return graph


def discover(path: Path) -> list[Path]:
    """No further files: separate weights are named in the manifest."""
    return []


@dataclass(frozen=True)
class _File:
    """A model file: its description, Keras's version in full, and what reads its weights."""

    text: str
    version: str
    read: Callable[[], Group]


def _opened(path: Path) -> _File:
    """The model file `path`, an archive or HDF5 by its first bytes: either may have the other's suffix."""
    archive.check_file(path)
    if archive.is_archive(path):
        text, version = archive.read(path)
        return _File(text, version, partial(hdf5.read, path, archive.WEIGHTS))
    file = hdf5.read(path, skip=_OPTIMIZER)
    found = file.texts.get("model_config")
    if not isinstance(found, str):
        holds_weights = file.list_of("layer_names") is not None or any(map(file.group, CONTAINERS))
        raise ModelbuildError(
            "the file holds weights without the model that they belong to"
            if holds_weights
            else "the HDF5 file holds no Keras model",
            why="it has no `model_config`",
            advice="save the whole model: `model.save(...)`, not `model.save_weights(...)`; or give the "
            "model's file as `source:` and this one as `weights:`",
        )
    return _File(found, str(file.texts.get("keras_version", "1")), lambda: file)


def _weights(path: Path) -> Group:
    try:
        archive.check_file(path)
        if archive.is_archive(path):
            return hdf5.read(path, archive.WEIGHTS)
        return hdf5.read(path, skip=_OPTIMIZER)
    except ModelbuildError as error:
        raise located(error, path) from error


def _major(version: str) -> int:
    first = version.split(".")[0]
    return int(first) if first.isdecimal() and len(first) < 4 else 2


@dataclass(frozen=True)
class _Translation:
    """A model laid out flat, and all that its layers are translated with."""

    model: Wired
    weights: Weights
    version: int
    file: str

    def writer(self, given: Mapping[str, Shape], source: Source) -> Writer:
        """The finished graph, in its writer. Appends notes to `source`."""
        layers = [step.layer for step in self.model.steps]
        channels_first = any(layer.config.get("data_format") == "channels_first" for layer in layers)
        writer = Writer("model")
        for entry in self.model.inputs:
            _write_input(writer, entry, given.get(entry.name), channels_first, source)
        halves = sum(precision.is_half(layer.config.get("dtype")) for layer in layers)
        if halves:
            source.notes.append(f"{halves} layers that calculate in half precision do so in float32 here")
            source.comparable = False
        for step in self.model.steps:
            writer.begin(step.name)
            read = partial(self.weights.of, step.path)
            _translate(Call(writer, step, self.version, read, self.file, lambda: self.weights.backend))
        ends = zip(self.model.outputs, self.model.names, strict=True)
        outputs = [_named(writer, tensor, name) for tensor, name in ends]
        if not outputs:
            raise ModelbuildError("the model has no outputs")
        writer.finish(outputs, outputs if channels_first else ())
        return writer


def _write_input(writer: Writer, entry: Input, given: Shape | None, keep_order: bool, source: Source) -> None:
    shape = shape_of(entry, given, keep_order)
    if entry.dtype not in _DTYPES:
        raise ModelbuildError(f"the input `{entry.name}` holds {entry.dtype[:40]}")
    dtype = np.dtype(np.float32 if "float" in entry.dtype else entry.dtype)
    if "float" in entry.dtype and entry.dtype != "float32":
        source.notes.append(f"the input {entry.name} is float32, not {entry.dtype}")
        source.comparable = False
    writer.input(entry.name, shape, dtype, keep_order=keep_order)


def _named(writer: Writer, tensor: str, name: str) -> str:
    """`tensor` under the `name` that the model has for it, where that is free."""
    if tensor == name or writer.has(name):
        return tensor
    writer.begin(name)
    ops.elementwise(writer, "Identity", [tensor], name)
    return name


def _translate(call: Call) -> None:
    layer = call.step.layer
    precision.check(call)
    operator = OPERATORS.get(layer.kind)
    if layer.function:
        function_table.translate(call, refusing.export(call))
    elif operator is not None and layer.own and not call.step.call.problem:
        operator(call)
    else:
        refusing.refuse(call, OPERATORS)
