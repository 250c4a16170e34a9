"""A Keras file -> Graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from modelbuild.errors import ModelbuildError, did_you_mean
from modelbuild.formats import hdf5
from modelbuild.formats.hdf5 import Group
from modelbuild.graph import edits as graph_edits
from modelbuild.graph import shapes
from modelbuild.graph.model import Graph, Shape
from modelbuild.importers import channels_last_operators as ops
from modelbuild.importers import input_shapes
from modelbuild.importers.channels_last import Writer
from modelbuild.importers.keras import archive, config, wiring
from modelbuild.importers.keras.call import Call
from modelbuild.importers.keras.inputs import shape_of
from modelbuild.importers.keras.operators import CUSTOM, OPERATION, OPERATIONS, OPERATORS, REFUSED
from modelbuild.importers.keras.weights import Weights
from modelbuild.importers.keras.wiring import Wired
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
    text, version, producer, own = _source(path)
    read = own if weights_path is None else partial(_weights, weights_path)
    model = config.parse(text, version)
    laid_out = wiring.pruned(wiring.wired(model), edits)
    source = Source("keras", producer, 0, 0, len(laid_out.steps))
    writer = _translated(laid_out, Weights(read, model), version, shapes_given or {}, source)
    graph = writer.graph
    shapes.infer(graph)
    if edits:
        graph = graph_edits.apply(graph, edits, writer.layouts(graph))
        shapes.infer(graph)
        source.comparable = False
    input_shapes.confirm(graph, shapes_given or {})
    source.layouts = writer.layouts(graph, edits)
    source.attach(graph)
    return graph


def discover(path: Path) -> list[Path]:
    """No further files: separate weights are named in the manifest."""
    return []


def _source(path: Path) -> tuple[str, int, str, Callable[[], Group]]:
    """Description, version of Keras, producer, and what reads the weights of a model file."""
    archive.check_file(path)
    if path.suffix.lower() == ".keras":
        text, version = archive.read(path)
        return text, _major(version), f"keras {version}", partial(hdf5.read, path, archive.WEIGHTS)
    file = hdf5.read(path, skip=_OPTIMIZER)
    found = file.texts.get("model_config")
    if not isinstance(found, str):
        raise ModelbuildError(
            "the file holds weights without the model that they belong to",
            why="it has no `model_config`",
            advice="save the whole model: `model.save(...)`, not `model.save_weights(...)`",
        )
    written = str(file.texts.get("keras_version", "1"))
    return found, _major(written), f"keras {written}", lambda: file


def _weights(path: Path) -> Group:
    try:
        archive.check_file(path)
        return hdf5.read(path, skip=_OPTIMIZER)
    except ModelbuildError as error:
        raise ModelbuildError.of(
            (problem._replace(where=str(path)) for problem in error.problems), error.exit_code
        ) from error


def _major(version: str) -> int:
    first = version.split(".")[0]
    return int(first) if first.isdecimal() and len(first) < 4 else 2


def _translated(
    model: Wired, weights: Weights, version: int, given: Mapping[str, Shape], source: Source
) -> Writer:
    channels_first = any(step.layer.config.get("data_format") == "channels_first" for step in model.steps)
    writer = Writer("model")
    for entry in model.inputs:
        shape = shape_of(entry, given.get(entry.name), channels_first)
        if entry.dtype not in _DTYPES:
            raise ModelbuildError(f"the input `{entry.name}` holds {entry.dtype}")
        dtype = np.dtype(np.float32 if "float" in entry.dtype else entry.dtype)
        if "float" in entry.dtype and entry.dtype != "float32":
            source.notes.append(f"the input {entry.name} is float32, not {entry.dtype}")
            source.comparable = False
        writer.input(entry.name, shape, dtype, keep_order=channels_first)
    for step in model.steps:
        writer.begin(step.name)
        _translate(Call(writer, step, version, lambda path=step.path: weights.of(path)))  # type: ignore[misc]
    outputs = [_named(writer, tensor, name) for tensor, name in zip(model.outputs, model.names, strict=True)]
    if not outputs:
        raise ModelbuildError("the model has no outputs")
    writer.finish(outputs, outputs if channels_first else ())
    return writer


def _named(writer: Writer, tensor: str, name: str) -> str:
    """`tensor` under the `name` that the model has for it, where that is free."""
    if tensor == name or writer.has(name):
        return tensor
    writer.begin(name)
    ops.elementwise(writer, "Identity", [tensor], name)
    return name


def _translate(call: Call) -> None:
    layer = call.step.layer
    if layer.operation and layer.kind in OPERATIONS:
        OPERATIONS[layer.kind](call)
        return
    operator = OPERATORS.get(layer.kind)
    if operator is not None and layer.own and not call.step.problem:
        operator(call)
        return
    why, advice = REFUSED.get(layer.kind, OPERATION if call.step.problem else CUSTOM)
    known = did_you_mean(layer.kind, OPERATORS) if operator is None and layer.kind not in REFUSED else ""
    call.fail("is not supported", why=why, advice=known or advice)
