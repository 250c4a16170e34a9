"""prototxt and caffemodel -> Graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from modelbuild.errors import ModelbuildError, did_you_mean
from modelbuild.graph import edits as graph_edits
from modelbuild.graph import shapes
from modelbuild.graph.model import Graph, Shape
from modelbuild.graph.order import in_order
from modelbuild.importers import input_shapes, sniff
from modelbuild.importers.caffe import network as networks
from modelbuild.importers.caffe import text, weights, wiring
from modelbuild.importers.caffe.context import Context, Writer
from modelbuild.importers.caffe.network import Network
from modelbuild.importers.caffe.operators import OPERATORS, REFUSED
from modelbuild.importers.caffe.weights import Blob
from modelbuild.importers.caffe.wiring import Step
from modelbuild.importers.opset import WORKING
from modelbuild.importers.source import Source


def load(
    path: Path,
    shapes_given: Mapping[str, Shape] | None = None,
    edits: Sequence[graph_edits.Edit] = (),
    weights_path: Path | None = None,
) -> Graph:
    """The graph of the network `path` with the weights of `weights_path`, after `edits`.

    `shapes_given` replaces the shapes of inputs, of the same rank: Caffe fits a network to any. What a
    leading `cut` takes away is never looked at. Raises naming layer and place for all that is not supported.
    """
    given = shapes_given or {}
    network = networks.read(text.parse(_text(path), str(path)))
    blobs = _weights(weights_path)
    source = Source("caffe", network.name, 0, 0, len(network.layers))
    steps, outputs = wiring.pruned(*wiring.wired(network), edits)
    if not outputs:
        raise ModelbuildError("the network has no outputs", why="every blob is read by a layer")
    graph = _translated(network, steps, outputs, blobs, given, source.notes)
    shapes.infer(graph)
    own_inputs = graph.inputs
    if edits:
        graph = graph_edits.apply(graph, edits)
        shapes.infer(graph)
        source.comparable = False
    input_shapes.confirm(graph, given, own_inputs)
    source.attach(graph)
    return graph


def discover(path: Path) -> list[Path]:
    """No further files: the weights are named in the manifest."""
    return []


def _text(path: Path) -> str:
    data = sniff.read(path)
    if len(data) > text.MAX_BYTES:
        raise ModelbuildError(f"the prototxt has {len(data)} bytes, more than {text.MAX_BYTES}")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ModelbuildError(
            "this is not a prototxt", why="it is not text", advice="give the caffemodel as `weights:`"
        ) from error


def _weights(path: Path | None) -> dict[str, list[Blob]]:
    if path is None:
        return {}
    try:
        return weights.read(sniff.read(path))
    except ModelbuildError as error:
        raise sniff.located(error, path) from error


def _translated(
    network: Network,
    steps: Sequence[Step],
    outputs: Sequence[str],
    blobs: Mapping[str, list[Blob]],
    given: Mapping[str, Shape],
    notes: list[str],
) -> Graph:
    graph = Graph(network.name, [], list(network.inputs), list(outputs), {}, opset=WORKING)
    for name, shape in network.inputs.items():
        graph.shapes[name] = _input_shape(name, shape, given, notes)
        graph.dtypes[name] = np.dtype(np.float32)
    tensors = {*network.inputs, *(name for step in steps for name in step.outputs)}
    writer = Writer(graph, tensors, {step.name for step in steps})
    for step in steps:
        _translate(writer, step, blobs)
    graph.nodes = in_order(graph.nodes, graph)
    return graph


def _input_shape(name: str, own: Shape, given: Mapping[str, Shape], notes: list[str]) -> Shape:
    shape = tuple(given.get(name, own))
    if len(shape) != len(own) or min(shape) < 1:
        raise ModelbuildError(
            f"the shape {list(shape)} given for the input `{name}` does not fit",
            where=f"inputs.{name}",
            why=f"the network's own is {list(own)}",
        )
    if shape != own:
        notes.append(f"the input {name} has the shape {list(shape)}, not the prototxt's {list(own)}")
    return shape


def _translate(writer: Writer, step: Step, blobs: Mapping[str, list[Blob]]) -> None:
    layer = step.layer
    if not layer.tops:  # Silence: it reads what would be an output otherwise
        return
    translation = OPERATORS.get(layer.type)
    if translation is None:
        why, advice = REFUSED.get(layer.type, ("", ""))
        raise ModelbuildError(
            f"{layer.label} is not supported",
            where=layer.message.where,
            why=why or "this type of layer is not known",
            advice=advice or did_you_mean(layer.type, OPERATORS) or REFUSED["Python"][1],
        )
    parameters = layer.message.message(translation.parameters)
    context = Context(writer, step, parameters, blobs.get(layer.name), blobs)
    try:
        translation.operator(context)
    except ModelbuildError:
        parameters.refuse_misspelt(layer.label)  # for then a field was missed that is there
        raise
    parameters.refuse_others(layer.label)
