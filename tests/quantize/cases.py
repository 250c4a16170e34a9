"""Small float graphs, one ONNX operator each, and the path from a graph to its fixed model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from modelbuild.arithmetic.fixed_model import FixedModel
from modelbuild.chips.load import load_recipe
from modelbuild.chips.recipe import Recipe
from modelbuild.graph import shapes
from modelbuild.graph.model import Graph, Node
from modelbuild.quantize.apply import apply
from modelbuild.quantize.observe import Observations, observe
from modelbuild.quantize.quantize import quantize
from modelbuild.quantize.record import Record
from modelbuild.quantize.settings import Settings

Sample = dict[str, np.ndarray[Any, Any]]
F = np.float32
CRD = {"blocksize": 2, "mode": "CRD"}


@dataclass(frozen=True)
class Made:
    """A graph and everything that was made of it."""

    graph: Graph
    samples: list[Sample]
    observations: Observations
    record: Record
    fixed: FixedModel


def graph_of(
    nodes: list[Node],
    inputs: dict[str, tuple[int, ...]],
    outputs: list[str],
    constants: dict[str, Any] | None = None,
    opset: int = 17,
) -> Graph:
    """A graph with all shapes worked out."""
    graph = Graph("small", nodes, list(inputs), outputs, dict(constants or {}), opset=opset)
    graph.shapes = dict(inputs)
    graph.dtypes = {name: np.dtype(F) for name in inputs}
    shapes.infer(graph)
    return graph


def one_node(
    op: str,
    shape: tuple[int, ...],
    attributes: dict[str, Any] | None = None,
    outputs: int = 1,
    **constants: Any,
) -> Graph:
    """One operator on `x`, its further inputs constants in the order given."""
    names = [f"y{index or ''}" for index in range(outputs)]
    node = Node(op, "node", ["x", *constants], names, attributes or {})
    return graph_of([node], {"x": shape}, names, constants)


def samples_of(graph: Graph, count: int = 4, seed: int = 0, spread: float = 1.0) -> list[Sample]:
    """Normal numbers for every input."""
    rng = np.random.default_rng(seed)
    return [
        {name: (spread * rng.standard_normal(graph.shapes[name])).astype(F) for name in graph.inputs}
        for _ in range(count)
    ]


def make(
    graph: Graph,
    chip: str | Recipe = "modalix",
    settings: dict[str, Any] | None = None,
    samples: list[Sample] | None = None,
    units: dict[str, str] | None = None,
) -> Made:
    """Observe, quantize, apply."""
    recipe = load_recipe(chip) if isinstance(chip, str) else chip
    given = samples or samples_of(graph)
    observations = observe(graph, given)
    record = quantize(graph, observations, Settings.read(settings or {}), recipe.number_format)
    placed = units or {node.name: "npu" for node in graph.nodes}
    return Made(graph, given, observations, record, apply(graph, placed, record, recipe))


@cache
def made_of(case: str, chip: str) -> Made:
    """A case of the table with the chip's default settings; made once for all tests of a module."""
    return make(CASES[case][0](), chip)


def normal(*shape: int, seed: int = 1) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).standard_normal(shape).astype(F)


def longs(*values: int) -> np.ndarray[Any, Any]:
    return np.array(values, np.int64)


def resize(mode: str, coordinates: str, scale: tuple[float, float], nearest: str = "floor") -> Graph:
    attributes = {"mode": mode, "coordinate_transformation_mode": coordinates, "nearest_mode": nearest}
    scales = np.array([1, 1, *scale], F)
    return one_node("Resize", (1, 2, 5, 4), attributes, roi=np.zeros(0, F), scales=scales)


def two(op: str, a: tuple[int, ...], b: tuple[int, ...]) -> Graph:
    node = Node(op, "node", ["a", "b"], ["y"])
    return graph_of([node], {"a": a, "b": b}, ["y"])


def positive(graph: Graph, op: str = "Softplus") -> Graph:
    """The same graph fed by numbers above 0."""
    head = Node(op, "head", ["raw"], ["x"])
    shape = graph.shapes["x"]
    return graph_of([head, *graph.nodes], {"raw": shape}, graph.outputs, graph.constants)


PICTURE = (1, 6, 7, 8)
PADS = {"pads": [1, 1, 1, 1]}
# name -> (graph, least SNR in dB of the output at 8 bits, asymmetric)
CASES: dict[str, tuple[Callable[[], Graph], float]] = {
    "conv": (
        lambda: one_node("Conv", PICTURE, {"pads": [1, 1, 1, 1]}, w=normal(5, 6, 3, 3), b=normal(5)),
        32,
    ),
    "conv_strided_asymmetric": (
        lambda: one_node("Conv", PICTURE, {"pads": [0, 1, 2, 0], "strides": [2, 3]}, w=normal(4, 6, 3, 2)),
        32,
    ),
    "conv_dilated_grouped": (
        lambda: one_node("Conv", PICTURE, {"dilations": [2, 1], "group": 3}, w=normal(6, 2, 3, 3)),
        32,
    ),
    "conv_depthwise": (
        lambda: one_node("Conv", PICTURE, {"group": 6, "pads": [1, 1, 1, 1]}, w=normal(6, 1, 3, 3)),
        32,
    ),
    "conv_same_upper": (
        lambda: one_node(
            "Conv", PICTURE, {"auto_pad": "SAME_UPPER", "strides": [2, 2]}, w=normal(4, 6, 3, 3)
        ),
        32,
    ),
    "conv_one_axis": (
        lambda: one_node("Conv", (1, 4, 12), {"pads": [1, 1]}, w=normal(5, 4, 3), b=normal(5)),
        32,
    ),
    "conv_transpose": (
        lambda: one_node(
            "ConvTranspose",
            (1, 4, 5, 4),
            {"strides": [2, 3], "pads": [1, 0, 1, 1], "output_padding": [1, 0]},
            w=normal(4, 3, 4, 3),
            b=normal(3),
        ),
        32,
    ),
    "conv_transpose_grouped": (
        lambda: one_node(
            "ConvTranspose", (1, 4, 5, 4), {"strides": [2, 2], "group": 2}, w=normal(4, 3, 2, 2)
        ),
        32,
    ),
    "gemm": (
        lambda: one_node("Gemm", (3, 20), {"alpha": 0.5, "beta": 2.0}, w=normal(20, 7), b=normal(7)),
        32,
    ),
    "gemm_transposed": (lambda: one_node("Gemm", (3, 20), {"transB": 1}, w=normal(7, 20), b=normal(1)), 32),
    "matmul_constant": (lambda: one_node("MatMul", (2, 3, 20), w=normal(20, 7)), 32),
    "matmul": (lambda: two("MatMul", (2, 3, 8), (1, 8, 5)), 30),
    "add": (lambda: two("Add", (1, 4, 5, 5), (1, 4, 1, 1)), 32),
    "subtract": (lambda: two("Sub", (2, 9), (2, 9)), 32),
    "multiply": (lambda: two("Mul", (1, 4, 5, 5), (1, 4, 1, 1)), 30),
    "add_channels": (lambda: one_node("Add", PICTURE, c=normal(1, 6, 1, 1)), 36),
    "subtract_channels": (lambda: one_node("Sub", PICTURE, c=normal(6, 1, 1)), 36),
    "multiply_channels": (lambda: one_node("Mul", PICTURE, c=normal(6, 1, 1)), 36),
    "divide_channels": (lambda: one_node("Div", PICTURE, c=1 + np.abs(normal(6, 1, 1))), 36),
    "add_number": (lambda: one_node("Add", (2, 9), c=np.array(0.7, F)), 36),
    "multiply_number": (lambda: one_node("Mul", (2, 9), c=np.array(-1.3, F)), 36),
    "divide_number": (lambda: one_node("Div", (2, 9), c=np.array([3.0], F)), 36),
    "add_vector": (lambda: one_node("Add", (3, 9), c=normal(9)), 32),
    "batch_normalization": (
        lambda: one_node(
            "BatchNormalization",
            PICTURE,
            s=normal(6),
            b=normal(6, seed=2),
            m=normal(6, seed=3),
            v=1 + np.abs(normal(6)),
        ),
        34,
    ),
    "relu": (lambda: one_node("Relu", PICTURE), 36),
    "clip": (lambda: one_node("Clip", PICTURE, low=np.array(-0.5, F), high=np.array(0.9, F)), 32),
    "prelu": (lambda: one_node("PRelu", PICTURE, slope=normal(6, 1, 1)), 32),
    "prelu_one": (lambda: one_node("PRelu", (1, 4, 5), slope=np.array([0.2], F)), 32),
    **{
        op.lower(): (lambda op=op: one_node(op, (1, 3, 4, 4)), 30)
        for op in ("Sigmoid", "Tanh", "Exp", "Erf", "Abs", "Neg", "Softplus", "Softsign", "HardSwish")
    },
    "hard_sigmoid": (lambda: one_node("HardSigmoid", (2, 9), {"alpha": 0.25, "beta": 0.4}), 34),
    "leaky_relu": (lambda: one_node("LeakyRelu", (2, 9), {"alpha": 0.1}), 34),
    "elu": (lambda: one_node("Elu", (2, 9), {"alpha": 1.5}), 32),
    "selu": (lambda: one_node("Selu", (2, 9)), 32),
    "log": (lambda: positive(one_node("Log", (2, 9))), 24),
    "sqrt": (lambda: positive(one_node("Sqrt", (2, 9))), 30),
    "reciprocal": (lambda: positive(one_node("Reciprocal", (2, 9))), 15),
    "pow": (lambda: one_node("Pow", (2, 9), e=np.array(2.0, F)), 32),
    "max_pool": (
        lambda: one_node(
            "MaxPool", PICTURE, {"kernel_shape": [3, 2], "strides": [2, 2], "pads": [1, 0, 1, 1]}
        ),
        36,
    ),
    "max_pool_ceil": (
        lambda: one_node("MaxPool", PICTURE, {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1}),
        36,
    ),
    "max_pool_one_axis": (lambda: one_node("MaxPool", (1, 3, 9), {"kernel_shape": [3]}), 36),
    "average_pool": (
        lambda: one_node("AveragePool", PICTURE, {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}),
        32,
    ),
    "average_pool_include": (
        lambda: one_node(
            "AveragePool", PICTURE, {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "count_include_pad": 1}
        ),
        32,
    ),
    "average_pool_ceil": (
        lambda: one_node("AveragePool", PICTURE, {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1}),
        32,
    ),
    "global_average_pool": (lambda: one_node("GlobalAveragePool", PICTURE), 28),
    "global_max_pool": (lambda: one_node("GlobalMaxPool", PICTURE), 36),
    "reduce_mean": (lambda: one_node("ReduceMean", PICTURE, {"axes": [2, -1], "keepdims": 0}), 28),
    "reduce_sum": (lambda: one_node("ReduceSum", PICTURE, a=longs(1)), 30),
    "reduce_max": (lambda: one_node("ReduceMax", PICTURE, {"axes": [1]}), 36),
    "softmax": (lambda: one_node("Softmax", (2, 10)), 28),
    "softmax_first_axis": (lambda: one_node("Softmax", (1, 5, 3, 2), {"axis": 1}), 28),
    "concat": (
        lambda: graph_of(
            [Node("Concat", "node", ["a", "b", "c"], ["y"], {"axis": -1})],
            {"a": (2, 3), "b": (2, 4)},
            ["y"],
            {"c": 0.5 * normal(2, 2)},
        ),
        32,
    ),
    "reshape": (lambda: one_node("Reshape", PICTURE, target=longs(1, 6, -1)), 36),
    "flatten": (lambda: one_node("Flatten", PICTURE, {"axis": 2}), 36),
    "squeeze": (lambda: one_node("Squeeze", (1, 3, 1, 4), axes=longs(0, 2)), 36),
    "unsqueeze": (lambda: one_node("Unsqueeze", (3, 4), axes=longs(0, 3)), 36),
    "transpose": (lambda: one_node("Transpose", PICTURE, {"perm": [0, 2, 3, 1]}), 36),
    "transpose_reversed": (lambda: one_node("Transpose", (2, 3, 4)), 36),
    "slice": (
        lambda: one_node("Slice", PICTURE, s=longs(1, -3), e=longs(100, -1), a=longs(1, 3), t=longs(2, 1)),
        36,
    ),
    "slice_backwards": (
        lambda: one_node(
            "Slice", PICTURE, s=longs(-1, -1), e=longs(-99, -99), a=longs(2, 3), t=longs(-1, -2)
        ),
        36,
    ),
    "split": (lambda: one_node("Split", PICTURE, {"axis": 1}, outputs=2, s=longs(2, 4)), 36),
    "pad": (lambda: one_node("Pad", (1, 2, 3, 3), p=longs(0, 0, 1, 2, 0, 0, 0, 1), v=np.array(0.5, F)), 34),
    **{
        f"pad_{mode}": (
            lambda m=mode: one_node("Pad", (1, 2, 4, 4), {"mode": m}, p=longs(0, 0, 1, 2, 0, 0, 0, 1)),
            36,
        )
        for mode in ("reflect", "edge")
    },
    "gather": (lambda: one_node("Gather", PICTURE, {"axis": 1}, i=longs(4, -1, 0)), 36),
    "gather_one": (lambda: one_node("Gather", PICTURE, {"axis": -1}, i=np.array(2, np.int64)), 36),
    "expand": (lambda: one_node("Expand", (3, 1), s=longs(2, 3, 4)), 36),
    "tile": (lambda: one_node("Tile", (2, 3), r=longs(1, 3)), 36),
    "depth_to_space": (lambda: one_node("DepthToSpace", (1, 8, 3, 2), {"blocksize": 2}), 36),
    "depth_to_space_crd": (lambda: one_node("DepthToSpace", (1, 8, 3, 2), CRD), 36),
    "space_to_depth": (lambda: one_node("SpaceToDepth", (1, 2, 4, 6), {"blocksize": 2}), 36),
    **{
        f"resize_nearest_{coordinates}_{rounding}": (
            lambda c=coordinates, r=rounding: resize("nearest", c, (2.0, 1.5), r),
            36,
        )
        for coordinates in ("asymmetric", "half_pixel", "pytorch_half_pixel", "align_corners")
        for rounding in ("floor", "ceil", "round_prefer_floor", "round_prefer_ceil")
    },
    **{
        f"resize_linear_{coordinates}_{scale}": (
            lambda c=coordinates, s=scale: resize("linear", c, (s, 2.0)),
            32,
        )
        for coordinates in ("asymmetric", "half_pixel", "pytorch_half_pixel", "align_corners")
        for scale in (2.0, 0.6)
    },
}
