"""Preprocessing as nodes of the graph: raw pictures in, whatever the host would have computed inside.

In the order of nncase's `preprocess` option: input layout, order of colours, dequantization to the input
range, letterbox, mean and std, the model, output layout. Steps that commute may stand elsewhere in the chain:
no value changes by that.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from modelbuild.errors import ModelbuildError
from modelbuild.graph import shapes
from modelbuild.graph.edits import behind, layout, swap_channels
from modelbuild.graph.edits.swap_channels import takes
from modelbuild.graph.fresh_names import fresh_in
from modelbuild.graph.kept_quantization import Kept
from modelbuild.graph.model import Graph
from modelbuild.graph.preprocess_nodes import ORIGIN
from modelbuild.graph.quantized_border import dequantize_input
from modelbuild.graph.rewrite import copied, merged
from modelbuild.samples import preprocess, resample
from modelbuild.samples.preprocess import Preprocess

_HEIGHT, _WIDTH = 2, 3
Floats = NDArray[np.float32]


def insert(graph: Graph, declared: Mapping[str, Preprocess]) -> Graph:
    """A copy of `graph` whose inputs in `declared` take raw pictures, [1, C, H, W] or [1, H, W, C].

    Raises (exit 2) for an input that no picture feeds, naming it."""
    result = copied(graph)
    for name, p in declared.items():
        try:
            _insert(result, name, p)
        except ModelbuildError as error:
            problems = (problem._replace(where=f"inputs.{name}.preprocess") for problem in error.problems)
            raise ModelbuildError.of(problems, error.exit_code) from error
    _lay_out(result, declared)
    shapes.infer(result)
    return result


def _insert(graph: Graph, name: str, p: Preprocess) -> None:
    """Every node comes behind the input, in front of those before: the last of the chain is first here."""
    assert p.in_model is not None
    if graph.dtypes[name] != np.dtype(np.float32) or len(graph.shapes[name]) != 4:
        raise ModelbuildError(
            f"`in_model` needs an input of four dimensions that holds real numbers, not {graph.dtypes[name]} "
            f"{list(graph.shapes[name])}",
            advice="remove `in_model`",
        )
    known = {node.name for node in graph.nodes}
    if p.layout == "NHWC":
        layout.change(graph, {name: "NCHW"})
    batch, channels = graph.shapes[name][:2]
    preprocess.colour_of(p, channels)
    if batch != 1:
        raise ModelbuildError(f"`in_model` takes one picture, the input {batch}", advice="remove `in_model`")
    if preprocess.swaps(p):
        swap_channels.apply(graph, {"input": name})
    _normalise(graph, name, p, channels)
    if p.in_model.input_shape is not None:
        _fit(graph, name, p, p.in_model.input_shape)
    if p.in_model.input_layout == "NHWC":
        layout.change(graph, {name: "NHWC"})
    if p.in_model.input_type == "uint8":
        dequantize_input(graph, name, Kept("uint8", (_step(p),), (0,)))
    for node in graph.nodes:
        if node.name not in known:  # findings about it are to say where it comes from
            node.name = fresh_in(graph, f"{name}_preprocess_{node.op.lower()}")
            node.origin = (f"{name}{ORIGIN}",)


def _step(p: Preprocess) -> float:
    """What one step of a raw pixel is in the input range."""
    low, high = preprocess.input_range(p)
    return (high - low) / 255


def _normalise(graph: Graph, name: str, p: Preprocess, channels: int) -> None:
    """y = (v + shift) * factor, of v = pixel * step; with real numbers at the border v has its `low`, too.

    The factor comes last, and goes into the weights of the convolutions that follow, if nothing else does."""
    assert p.in_model is not None
    low = preprocess.input_range(p)[0] if p.in_model.input_type == "float32" else 0.0
    found = preprocess.normalisation(p, channels)
    if not all(scale for scale, _, _ in found):
        raise ModelbuildError("`scale: 0` leaves nothing of a picture", advice="remove it")
    factors = [scale / (_step(p) * std) for scale, _, std in found]
    shifts = [-mean / (std * factor) - low for (_, mean, std), factor in zip(found, factors, strict=True)]
    scale, bias = (_column(_of_raw(values, p)) for values in (factors, shifts))
    if (scale != 1).any() and not _scale_weights(graph, name, scale.reshape(-1)):
        behind.of_input(graph, name, "Mul", {"scale": scale}, {})
    if bias.any():
        behind.of_input(graph, name, "Add", {"bias": bias}, {})


def _scale_weights(graph: Graph, name: str, factors: Floats) -> bool:
    """Multiplies the weights that meet each channel of the input; False where other nodes read it, too."""
    readers = [node for node in graph.nodes if name in node.inputs]
    if name in graph.outputs or not readers or not all(takes(graph, node, name) for node in readers):
        return False
    for node in readers:
        weight = np.asarray(graph.constants[node.inputs[1]], np.float32)
        column = factors.reshape(1, -1, *[1] * (weight.ndim - 2))
        graph.constants[new := fresh_in(graph, f"{node.inputs[1]}_scaled")] = weight * column
        node.inputs[1] = new
        node.origin = merged((f"{name}{ORIGIN}",), node.origin)
    return True


def _of_raw(values: list[float], p: Preprocess) -> list[float]:
    """One value a channel of the raw picture, of those that are one a channel of the model's input."""
    return values[::-1] if preprocess.swaps(p) else values


def _column(values: list[float]) -> Floats:
    return np.asarray(values, np.float32).reshape(1, -1, 1, 1)


def _fit(graph: Graph, name: str, p: Preprocess, raw: tuple[int, ...]) -> None:
    """From the raw picture's size to the model's, as the host does it: the width first, then the height."""
    assert p.in_model is not None
    _, channels, height, width = graph.shapes[name]
    rows, columns = raw[1:3] if p.in_model.input_layout == "NHWC" else raw[2:]
    depth = raw[3] if p.in_model.input_layout == "NHWC" else raw[1]
    if depth != channels:
        raise ModelbuildError(
            f"`input_shape: {list(raw)}` has {depth} channels, the model's input {channels}",
            why=f"the raw picture's layout is {p.in_model.input_layout}",
        )
    if (rows, columns) == (height, width):
        return
    scaled = preprocess.scaled_size(p, (rows, columns), (height, width))
    if scaled != (height, width):
        (_cut if p.resize == "crop" else _border)(graph, name, p, scaled)
    for axis, source, size in ((_HEIGHT, rows, scaled[0]), (_WIDTH, columns, scaled[1])):
        if source != size:
            _resample(graph, name, axis, resample.matrix(source, size, p.filter))


def _border(graph: Graph, name: str, p: Preprocess, scaled: tuple[int, int]) -> None:
    """Pad with `fill`; where that differs from channel to channel, with 0 between the Adds that move it."""
    _, channels, height, width = graph.shapes[name]
    fill = list(p.fill) if isinstance(p.fill, tuple) else [p.fill]
    base = preprocess.input_range(p)[0] if _holds_real(p) else 0.0
    values = [base + item * _step(p) for item in (fill if len(fill) == channels else fill * channels)]
    values = _of_raw(values, p)
    varies = len(set(values)) > 1
    top, left = (height - scaled[0]) // 2, (width - scaled[1]) // 2
    pads = [0, 0, top, left, 0, 0, height - scaled[0] - top, width - scaled[1] - left]
    if varies:
        behind.of_input(graph, name, "Add", {"fill": _column(values)}, {})
    value = np.float32(0.0 if varies else values[0])
    behind.of_input(
        graph, name, "Pad", {"pads": np.array(pads, np.int64), "value": value}, {"mode": "constant"}
    )
    if varies:
        behind.of_input(graph, name, "Add", {"fill": -_column(values)}, {})
    graph.shapes[name] = (1, channels, *scaled)


def _holds_real(p: Preprocess) -> bool:
    return p.in_model is not None and p.in_model.input_type == "float32"


def _cut(graph: Graph, name: str, p: Preprocess, scaled: tuple[int, int]) -> None:
    """The middle of what covers the model's input."""
    _, channels, height, width = graph.shapes[name]
    top, left = (scaled[0] - height) // 2, (scaled[1] - width) // 2
    window = {"starts": [top, left], "ends": [top + height, left + width], "axes": [_HEIGHT, _WIDTH]}
    window["steps"] = [1, 1]
    constants = {key: np.array(value, np.int64) for key, value in window.items()}
    behind.of_input(graph, name, "Slice", constants, {})
    graph.shapes[name] = (1, channels, *scaled)


def _resample(graph: Graph, name: str, axis: int, matrix: Floats) -> None:
    """The sides as a product with a constant matrix: it has the filter's weights, however wide it is."""
    across = {"perm": [0, 1, 3, 2]}
    if axis == _HEIGHT:
        behind.of_input(graph, name, "Transpose", {}, dict(across))
    behind.of_input(graph, name, "MatMul", {"filter": matrix}, {})
    if axis == _HEIGHT:
        behind.of_input(graph, name, "Transpose", {}, dict(across))
    sizes = list(graph.shapes[name])
    sizes[axis] = matrix.shape[0]
    graph.shapes[name] = tuple(sizes)


def laid_out(graph: Graph, declared: Mapping[str, Preprocess]) -> list[str]:
    """The inputs and outputs whose layout is the declared one, and no longer the source's."""
    asked = any(p.in_model is not None and p.in_model.output_layout for p in declared.values())
    return [*declared, *(_pictures(graph) if asked else ())]


def _pictures(graph: Graph) -> list[str]:
    return [name for name in graph.outputs if len(graph.shapes[name]) == 4]


def _lay_out(graph: Graph, declared: Mapping[str, Preprocess]) -> None:
    """Outputs of four dimensions in the layout that is asked for; the model's own is NCHW."""
    wanted = {p.in_model.output_layout for p in declared.values() if p.in_model is not None} - {None}
    if len(wanted) > 1:
        raise ModelbuildError("the inputs ask for different output layouts", where="inputs", why="it is one")
    if "NHWC" not in wanted:
        return
    pictures = _pictures(graph)
    if not pictures:
        raise ModelbuildError(
            "`output_layout`: the model has no output of four dimensions",
            where="inputs",
            advice="remove `output_layout`",
        )
    layout.change(graph, dict.fromkeys(pictures, "NHWC"))
