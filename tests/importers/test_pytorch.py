"""What PyTorch's exporters leave around a network folds away: import and normalise leave none of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

from modelbuild import importers
from modelbuild.graph import guard
from modelbuild.graph.normalise import normalise
from tests.importers.exported import Exporter

F, I64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL
LEFTOVERS = {
    *("Cast", "CastLike", "Constant", "ConstantOfShape", "Dropout", "Equal", "Expand", "Flatten", "Gather"),
    *("Identity", "If", "Range", "Shape", "Size", "Squeeze", "Tile", "Unsqueeze", "Where"),
}


def flatten(w: Exporter) -> str:
    """`x.view(x.size(0), -1)`, then a Linear."""
    x = w("Relu", "x")
    flat = w("Reshape", x, w.list(w.size(x, 0), -1))
    weights = w.constant(np.linspace(-1, 1, 32 * 3).reshape(32, 3), np.float32)
    return w("Add", w("MatMul", flat, weights), w.constant([1, 2, 3], np.float32))


def flatten_by_operator(w: Exporter) -> str:
    """`torch.flatten(x, 1)` behind Dropouts and Identities."""
    x = w("Dropout", w("Identity", w("Identity", w("Relu", "x"))))
    return w("Neg", w("Flatten", x, axis=1))


def reshape_of_all(w: Exporter) -> str:
    """A shape of sizes and products of sizes: heads of attention, a ShuffleNet."""
    x = w("Relu", "x")
    b, c, h, v = (w.size(x, axis) for axis in range(4))
    half = w("Div", c, w.constant(2))
    wide = w("Reshape", x, w.list(b, 2, half, h, v))
    turned = w("Transpose", wide, perm=[0, 2, 1, 3, 4])
    return w("Neg", w("Reshape", turned, w.list(b, w("Mul", half, w.constant(2)), h, v)))


def resize(w: Exporter) -> str:
    """`F.interpolate(x, scale_factor=2)`: sizes from sizes, through floats."""
    x = w("Relu", "x")
    sizes = []
    for axis in (2, 3):
        scaled = w("Mul", w.cast(w.size(x, axis), F), w.constant(2.0, np.float32))
        sizes.append(w.cast(w("Floor", w.cast(scaled, F)), I64))
    if w.opset < 11:
        old = w("Slice", w("Shape", x), starts=[2], ends=[4])
        found = w("Concat", *(w.vector(size) for size in sizes), axis=0)
        scales = w("Div", w.cast(found, F), w.cast(old, F))
        full = w("Concat", w.constant([1, 1], np.float32), scales, axis=0)
        return w("Upsample" if w.opset < 10 else "Resize", x, full, mode="nearest")
    start, end = w.constant([0]), w.constant([2])
    front = w("Slice", w("Shape", x), start, end, w.constant([0]))
    full = w("Concat", w.cast(front, I64), *(w.vector(size) for size in sizes), axis=0)
    empty = w.constant([], np.float32)
    return w("Resize", x, empty, empty, full, mode="nearest", nearest_mode="floor",
             coordinate_transformation_mode="asymmetric")  # fmt: skip


def resize_to_another(w: Exporter) -> str:
    """`F.interpolate(x, size=y.shape[2:], mode='bilinear')`, a feature pyramid."""
    low = w("MaxPool", "x", kernel_shape=[2, 2], strides=[2, 2])
    sizes = w.list(w.size(low, 0), w.size(low, 1), w.size("x", 2), w.size("x", 3))
    if w.opset < 13:
        empty = w.constant([], np.float32)
        high = w("Resize", low, empty, empty, sizes, mode="linear")
    else:
        high = w("Resize", low, "", "", sizes, mode="linear", coordinate_transformation_mode="half_pixel")
    return w("Add", high, "x")


def expand(w: Exporter) -> str:
    """`y.expand(-1, c, h, w)`: -1 is replaced through ConstantOfShape, Equal and Where."""
    mean = (
        w("ReduceMean", "x", w.constant([2, 3]), keepdims=1)
        if w.opset > 17
        else w("ReduceMean", "x", axes=[2, 3], keepdims=1)
    )
    wanted = w.list(-1, w.size("x", 1), w.size("x", 2), w.size("x", 3))
    one = helper.make_tensor("value", I64, [1], [1])
    ones = w("ConstantOfShape", w("Shape", wanted), value=one)
    own = w("Mul", ones, w.constant(-1))
    shape = w("Where", w("Equal", wanted, own), ones, wanted)
    return w("Add", "x", w("Expand", mean, shape))


def pad(w: Exporter) -> str:
    """`F.pad(x, (1, 0, 2, 1))`: the pairs are turned around in the graph."""
    given = w.constant([1, 0, 2, 1])
    count = w("Sub", w("Mul", w.constant(4), w.constant(2)), w.constant(4))
    zeros = w("ConstantOfShape", w.vector(count), value=helper.make_tensor("value", I64, [1], [0]))
    pairs = w("Reshape", w("Concat", given, zeros, axis=0), w.constant([-1, 2]))
    turned = w("Slice", pairs, *(w.constant([v]) for v in (-1, -9223372036854775807, 0, -1)))
    flat = w("Reshape", w("Transpose", turned, perm=[1, 0]), w.constant([-1]))
    padded = w("Pad", "x", w.cast(flat, I64), w.constant(0.0, np.float32), mode="constant")
    weights = w.constant(np.linspace(-1, 1, 2 * 9).reshape(1, 2, 3, 3), np.float32)
    return w("Conv", padded, weights, kernel_shape=[3, 3])


def halves(w: Exporter) -> str:
    """`x.chunk(2, dim=1)` by computed slices, as in GLU."""
    size = w.size("x", 1)
    chunk = w("Div", w("Add", size, w.constant(1)), w.constant(2))
    parts = []
    for number in range(2):
        start, end = (w.vector(w("Mul", chunk, w.constant(number + more))) for more in (0, 1))
        parts.append(w("Slice", "x", start, end, w.constant([1])))
    return w("Mul", parts[0], w("Sigmoid", parts[1]))


def grid(w: Exporter) -> str:
    """The cells of a detector: Range, meshgrid, stack, and an addition to the boxes."""
    rows, columns = w.size("x", 2), w.size("x", 3)
    if w.dynamo:
        rows, columns = (w("Squeeze", item) for item in (rows, columns))
    lines = [
        w("Range", w.constant(0), w.cast(w.cast(item, F), I64), w.constant(1)) for item in (rows, columns)
    ]
    shape = w.list(rows, columns)
    tall = w("Expand", w("Reshape", lines[0], w.constant([-1, 1])), shape)
    flat = w("Expand", w("Reshape", lines[1], w.constant([1, -1])), shape)
    both = w("Concat", w.unsqueeze(flat, 0), w.unsqueeze(tall, 0), axis=0)
    cells = w.cast(w.unsqueeze(both, 0), F)
    return w("Mul", w("Add", "x", cells), w.constant(8.0, np.float32))


def zeros(w: Exporter) -> str:
    """`torch.cat([x, x.new_zeros(x.size(0), 1, h, w)], 1)`, an option-B shortcut."""
    shape = w.list(w.size("x", 0), 1, w.size("x", 2), w.size("x", 3))
    fill = helper.make_tensor("value", F, [1], [0.0])
    return w("Neg", w("Concat", "x", w("ConstantOfShape", shape, value=fill), axis=1))


def embedding(w: Exporter) -> str:
    """Positions looked up in a table by a Range over the shape."""
    size = w.size("x", 3)
    if w.dynamo:
        size = w("Squeeze", size)
    table = w.constant(np.linspace(-1, 1, 20), np.float32)
    return w("Add", "x", w("Gather", table, w("Range", w.constant(0), size, w.constant(1)), axis=0))


def masked(w: Exporter) -> str:
    """A causal mask from ConstantOfShape, Trilu and Where."""
    shape = w.list(w.size("x", 2), w.size("x", 3))
    ones = w("ConstantOfShape", shape, value=helper.make_tensor("value", F, [1], [1.0]))
    lower = w.cast(w("Trilu", ones, upper=0), BOOL)
    gaps = w("Where", lower, w.constant(0.0, np.float32), w.constant(-1e9, np.float32))
    return w("Softmax", w("Add", "x", gaps), axis=-1)


def casts(w: Exporter) -> str:
    """Casts to the type that is there, and back and forth over sizes."""
    x = w.cast(w.cast("x", F), F)
    size = w.cast(w.cast(w.cast(w.size(x, 3), TensorProto.INT32), F), I64)
    return w("Div", x, w("Sqrt", w.cast(size, F)))


def functions(w: Exporter) -> str:
    """Calls of onnxscript's library, which the newer exporter leaves in the file."""
    domain = "pkg.onnxscript.torch_lib.common"
    opsets = [helper.make_opsetid("", w.opset)]
    body = [helper.make_node("Shape", ["input"], ["shape"]), helper.make_node("Size", ["shape"], ["rank"])]
    w.functions.append(helper.make_function(domain, "Rank", ["input"], ["rank"], body, opsets))
    rank = w("Rank", "x", domain=domain)
    last = w("Sub", rank, w.constant(1))
    size = w("Gather", w("Shape", "x"), last, axis=0)
    like = w("CastLike", size, w.constant(1.0, np.float32))
    return w("Mul", "x", like)


EXPORTERS = [(9, False), (11, False), (13, False), (17, False), (18, True), (20, True)]
NETWORKS: dict[Callable[[Exporter], str], int] = {  # and the first operator set that has what they need
    **dict.fromkeys((flatten, flatten_by_operator, reshape_of_all, resize, expand, zeros, casts), 7),
    **dict.fromkeys((resize_to_another, pad, halves, grid, embedding), 11),
    masked: 14,
    functions: 18,
}


@pytest.mark.parametrize(
    ("network", "opset", "dynamo"),
    [(f, opset, dynamo) for f, first in NETWORKS.items() for opset, dynamo in EXPORTERS if opset >= first],
    ids=lambda value: getattr(value, "__name__", None) or {True: "dynamo", False: "torchscript"}.get(value),
)
def test_nothing_of_it_is_left(
    tmp_path: Path, network: Callable[[Exporter], str], opset: int, dynamo: bool
) -> None:
    writer = Exporter(opset, dynamo)
    path = writer.saved(tmp_path, network(writer), ["batch", 2, 4, 4])
    for batch in (1, 3):
        graph = importers.load(path, {"x": (batch, 2, 4, 4)})
        assert importers.check(path, graph) is not None
        result, _ = normalise(graph)
        guard.check(path, result)
        meant = {"Expand"} if network is expand else set()  # it repeats a feature map, not a shape
        assert not LEFTOVERS - meant & {node.op for node in result.nodes}
