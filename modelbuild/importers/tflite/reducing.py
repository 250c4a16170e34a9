"""Operators over whole axes (MEAN, ARG_MAX, TOPK_V2), matrix products, and resizing of pictures."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np

from modelbuild.graph.model import Attribute
from modelbuild.graph.tensors import element_type_of
from modelbuild.importers import channels_last_operators as ops
from modelbuild.importers.channels_last import source_order
from modelbuild.importers.tflite.layer import Layer, Rule


def _reduce(layer: Layer, op: str) -> None:
    """Over the axes of input 1; the option keep_dims leaves them as 1."""
    axes, keep = layer.axes(layer.ints(1), layer.rank(0)), bool(layer.option(0, layout="B"))
    if not axes:
        ops.elementwise(layer.writer, "Identity", [layer.input(0)], layer.output)
        return
    ops.reduce(layer.writer, op, layer.input(0), layer.output, axes, keep)


def _reduce_truths(layer: Layer, op: str) -> None:
    """REDUCE_ANY is the largest of truths, REDUCE_ALL the least."""
    w, axes = layer.writer, layer.axes(layer.ints(1), layer.rank(0))
    numbers, found = w.scratch(f"{layer.output}_numbers"), w.scratch(f"{layer.output}_found")
    ops.elementwise(w, "Cast", [layer.input(0)], numbers, {"to": element_type_of(np.dtype(np.int32))})
    if axes:
        ops.reduce(w, op, numbers, found, axes, bool(layer.option(0, layout="B")))
    ops.elementwise(
        w, "Cast", [found if axes else numbers], layer.output, {"to": element_type_of(np.dtype(bool))}
    )


def _arg(layer: Layer, op: str) -> None:
    """The index has the type that the file gives it, int32 mostly."""
    w, numbers = layer.writer, layer.ints(1)
    if len(numbers) != 1:
        raise layer.wrong(f"has the axes {numbers}")
    index = w.scratch(f"{layer.output}_index")
    ops.arg(w, op, layer.input(0), index, layer.axis(numbers[0], layer.rank(0)))
    _cast_to_own(layer, index, layer.output, 0)


def _cast_to_own(layer: Layer, name: str, output: str, index: int) -> None:
    kind = layer.state.model.tensors[layer.operator.outputs[index]].type
    dtype = np.dtype("int32" if kind == "int32" else "int64")
    ops.elementwise(layer.writer, "Cast", [name], output, {"to": element_type_of(dtype)})


def _top(layer: Layer) -> None:
    """The k largest along the last axis, sorted, and where they are."""
    w, count, rank = layer.writer, layer.ints(1), layer.rank(0)
    most = layer.shape(0)[layer.axis(-1, rank)]
    if len(count) != 1 or not 0 < count[0] <= most or len(layer.outputs) != 2:
        raise layer.wrong(f"takes the {count} largest of {list(layer.shape(0))}")
    index = w.scratch(f"{layer.outputs[1]}_index")
    names = [layer.output, index]
    ops.along(
        w,
        "TopK",
        [layer.input(0)],
        names,
        layer.axis(-1, rank),
        None,
        [w.integers(f"{layer.output}_k", count)],
    )
    _cast_to_own(layer, index, layer.outputs[1], 1)


def _matrix_product(layer: Layer) -> None:
    """The options adj_x and adj_y take the last two axes of a factor the other way round."""
    w, factors = layer.writer, []
    for index in (0, 1):
        order = source_order(layer.rank(index))
        if len(order) < 2:
            raise layer.wrong(f"multiplies {list(layer.shape(index))}")
        if layer.option(index, layout="B"):
            order = (*order[:-2], order[-1], order[-2])
        factors.append(w.ordered(layer.input(index), order))
    w.emit("MatMul", factors, {layer.output: None})


def _resize(layer: Layer, mode: str, align: int, half: int) -> None:
    """The three ways in which TFLite lays the new grid over the old one.

    Nearest is floor of the position, floor of the middle's position, or with aligned corners the next cell,
    a half upwards (resize_nearest_neighbor.h, GetNearestNeighbor).
    """
    aligned, halves = layer.option(align, layout="B"), layer.option(half, layout="B")
    sizes = layer.ints(1)
    if aligned and halves:
        raise layer.wrong(
            "aligns the corners and takes the middles of pixels at once",
            why="no other runtime has such a grid",
            advice="convert it again with one of align_corners and half_pixel_centers",
        )
    if layer.rank(0) != 4 or len(sizes) != 2 or min(sizes) < 1:
        raise layer.wrong(f"makes {sizes} of {list(layer.shape(0))}")
    grid = "align_corners" if aligned else "half_pixel" if halves else "asymmetric"
    attributes: dict[str, Attribute] = {"mode": mode, "coordinate_transformation_mode": grid}
    if mode == "nearest":
        attributes["nearest_mode"] = "floor" if grid == "asymmetric" else "round_prefer_ceil"
    ops.resize(layer.writer, layer.input(0), layer.output, sizes, attributes)


RULES: Mapping[str, Rule] = {
    "ARG_MAX": partial(_arg, op="ArgMax"),
    "ARG_MIN": partial(_arg, op="ArgMin"),
    "BATCH_MATMUL": _matrix_product,
    "MEAN": partial(_reduce, op="ReduceMean"),
    "REDUCE_ALL": partial(_reduce_truths, op="ReduceMin"),
    "REDUCE_ANY": partial(_reduce_truths, op="ReduceMax"),
    "REDUCE_MAX": partial(_reduce, op="ReduceMax"),
    "REDUCE_MIN": partial(_reduce, op="ReduceMin"),
    "REDUCE_PROD": partial(_reduce, op="ReduceProd"),
    "RESIZE_BILINEAR": partial(_resize, mode="linear", align=2, half=3),
    "RESIZE_NEAREST_NEIGHBOR": partial(_resize, mode="nearest", align=0, half=1),
    "SUM": partial(_reduce, op="ReduceSum"),
    "TOPK_V2": _top,
}
