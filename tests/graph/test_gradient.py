"""Gradients are those of central differences for every operator, and what has none is named."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelbuild.errors import ModelbuildError
from modelbuild.graph.gradient import gradient_graph
from modelbuild.graph.gradients import RULES
from modelbuild.graph.model import Graph, Node
from modelbuild.graph.session import FloatSession, Many
from modelbuild.quantize.builders import BUILDERS
from tests.hypotheses import examples
from tests.quantize.cases import CASES, F, graph_of, longs, normal, one_node, two
from tests.rows import row

STEP = 4e-3
# Beside the cases of the fixed-point operators, what these cannot build.
FURTHER: dict[str, Graph] = {
    "divide": graph_of(
        [Node("Exp", "e", ["b"], ["p"]), Node("Div", "d", ["a", "p"], ["y"])],
        {"a": (1, 3, 4), "b": (3, 1)},
        ["y"],
    ),
    "divide_under": graph_of(
        [Node("Exp", "e", ["b"], ["p"]), Node("Div", "d", ["c", "p"], ["y"])],
        {"b": (2, 3)},
        ["y"],
        {"c": normal(3)},
    ),
    "pow_of_half": one_node("Pow", (2, 9), e=np.array(3.0, F)),
    "prelu_of_an_input": two("PRelu", (2, 3, 4), (3, 1)),
    "multiply_by_itself": graph_of([Node("Mul", "m", ["x", "x"], ["y"])], {"x": (2, 5)}, ["y"]),
    "gemm_of_two": graph_of(
        [Node("Gemm", "g", ["a", "b", "c"], ["y"], {"alpha": 0.5, "beta": 3.0, "transA": 1, "transB": 1})],
        {"a": (4, 3), "b": (5, 4), "c": (1, 5)},
        ["y"],
    ),
    "gemm_from_the_right": graph_of(
        [Node("Gemm", "g", ["w", "x"], ["y"], {"transA": 1})], {"x": (4, 5)}, ["y"], {"w": normal(4, 3)}
    ),
    "matmul_of_vectors": two("MatMul", (4,), (4, 5)),
    "matmul_by_a_vector": two("MatMul", (2, 3, 4), (4,)),
    "conv_1d_grouped": one_node("Conv", (2, 4, 11), {"group": 2, "strides": [3]}, w=normal(6, 2, 3)),
    "conv_same_lower": one_node(
        "Conv", (1, 2, 6, 7), {"auto_pad": "SAME_LOWER", "strides": [2, 3]}, w=normal(3, 2, 4, 2)
    ),
    "conv_dilated_and_grouped_with_unequal_pads": one_node(
        "Conv", (2, 4, 7, 6), {"group": 2, "dilations": [2, 1], "pads": [3, 0, 1, 2]}, w=normal(6, 2, 3, 3)
    ),
    "conv_with_pads_beyond_its_window": one_node("Conv", (1, 2, 5), {"pads": [4, 1]}, w=normal(3, 2, 3)),
    "softmax_of_more_axes": one_node("Softmax", (2, 3, 4), {"axis": -2}),
    "reduce_max_of_all": one_node("ReduceMax", (2, 3, 4), {"keepdims": 0}),
    "reduce_sum_of_all": one_node("ReduceSum", (2, 3, 4), {"keepdims": 0}),
    "pad_away": one_node("Pad", (2, 5, 6), p=longs(0, -1, 2, 0, 1, -3)),
    "resize_cubic": one_node(
        "Resize", (1, 2, 5, 4), {"mode": "cubic"}, r=np.zeros(0, F), s=F([1, 1, 2, 1.5])
    ),
    "resize_by_sizes": one_node(
        "Resize", (1, 2, 5, 4), {"mode": "linear"}, r=np.zeros(0, F), s=np.zeros(0, F), z=longs(1, 2, 7, 9)
    ),
    "resize_of_channels": one_node(
        "Resize", (1, 2, 3, 4), {"mode": "nearest"}, r=np.zeros(0, F), s=F([1, 2, 1, 3])
    ),
    "gather_twice": one_node("Gather", (3, 4), {"axis": 1}, i=np.array([[0, 0], [3, -1]], np.int64)),
    "identity": one_node("Identity", (2, 3)),
    "scalar": one_node("Sigmoid", ()),
}
KINKED = ("relu", "clip", "prelu", "leaky", "max", "hard", "abs", "elu", "selu")


GRAPHS = {name: build() for name, (build, _) in CASES.items()} | FURTHER


def test_every_operator_by_central_differences() -> None:
    for name, graph in GRAPHS.items():
        with row(name):
            assert difference(graph, kinked=any(word in name for word in KINKED)) < 2e-3


@pytest.mark.parametrize("approximate", ["none", "tanh"])
def test_gelu(approximate: str) -> None:
    graph = one_node("Relu", (3, 9))
    graph.nodes[0].op, graph.nodes[0].attributes, graph.opset = "Gelu", {"approximate": approximate}, 20
    assert difference(graph) < 2e-3


def test_no_optimisation_of_onnxruntime_changes_a_gradient() -> None:
    for name, graph in GRAPHS.items():
        with row(name):
            found = gradient_graph(graph, [*graph.inputs, *graph.outputs])
            given = {key: normal(*found.graph.shapes[key]) for key in found.graph.inputs}
            one, other = (
                FloatSession(found.graph, many=many).run(given) for many in (None, Many(optimized=True))
            )
            for key in found.names.values():
                np.testing.assert_allclose(one[key], other[key], rtol=1e-4, atol=1e-5, err_msg=key)


def test_a_convolution_by_single_cells_needs_no_transposed_one() -> None:
    def operators(strides: list[int]) -> set[str]:
        graph = one_node("Conv", (1, 2, 6, 6), {"strides": strides}, w=normal(3, 2, 3, 3))
        return {node.op for node in gradient_graph(graph, ["x"]).graph.nodes}

    assert "ConvTranspose" not in operators([1, 1]) and "ConvTranspose" in operators([2, 2])


def test_every_operator_that_can_be_built_has_a_rule() -> None:
    not_run = {"Upsample"}  # not in the importers' operator set, where it is a Resize
    codes = {"DequantizeLinear", "QuantizeLinear"}  # see the test of outputs of codes
    assert set(BUILDERS) - not_run - codes <= set(RULES)


def difference(graph: Graph, seed: int = 0, kinked: bool = False) -> float:
    """How far the gradient is from the slope of five points, along a random direction, relative to its norm.

    Where the operator has a kink, inputs differ from each other and from 0 by more than the points reach.
    """
    dice = np.random.default_rng(seed)
    found = gradient_graph(graph, graph.inputs)
    assert set(found.names) == set(graph.inputs) and not found.missing
    plain = FloatSession(graph, "all")
    x = {name: _apart(dice, graph.shapes[name], kinked) for name in graph.inputs}
    away = {name: dice.choice([-1.0, 1.0], size=graph.shapes[name]) for name in x}
    weights = {name: dice.standard_normal(graph.shapes[name]).astype(F) for name in found.cotangents}
    slopes = FloatSession(found.graph).run({**x, **{found.cotangents[k]: v for k, v in weights.items()}})

    def along(distance: float) -> float:
        moved = {name: np.asarray(x[name] + distance * away[name], F) for name in x}
        made = {**moved, **plain.run(moved)}  # a Softmax's scores may be an input
        return sum(float(np.vdot(made[k].astype(float), v.astype(float))) for k, v in weights.items())

    near, far = along(STEP) - along(-STEP), along(2 * STEP) - along(-2 * STEP)
    expected = (8 * near - far) / (12 * STEP)
    gradients = {name: slopes[found.names[name]].astype(float) for name in x}
    assert all(gradients[name].shape == graph.shapes[name] for name in x)
    product = sum(float(np.vdot(gradients[name], away[name])) for name in x)
    length = float(np.sqrt(sum(np.square(gradient).sum() for gradient in gradients.values())))
    return abs(product - expected) / (length + 1e-3)


def _apart(dice: np.random.Generator, shape: tuple[int, ...], kinked: bool) -> np.ndarray[Any, Any]:
    size = int(np.prod(shape))
    spacing = 0.05 if kinked or size < 80 else 4.0 / size
    values = (np.arange(size) - size // 2 + 0.37) * spacing + (0.9 if size == 1 else 0)
    return np.asarray(dice.permutation(values).reshape(shape), F)


@st.composite
def windows(draw: st.DrawFn) -> Graph:
    """A Conv or pool of any kernel, stride, dilation and pads on one or two axes."""
    axes = draw(st.integers(1, 2))
    pick = st.integers(1, 3)
    kernel = [draw(pick) for _ in range(axes)]
    dilations = [draw(pick) for _ in range(axes)]
    attributes: dict[str, Any] = {"strides": [draw(pick) for _ in range(axes)]}
    op = draw(st.sampled_from(["Conv", "ConvTranspose", "MaxPool", "AveragePool"]))
    if op != "AveragePool":
        attributes["dilations"] = dilations
    most = [size - 1 if op.endswith("Pool") else 2 for size in kernel]
    attributes["pads"] = [draw(st.integers(0, most[place % axes])) for place in range(2 * axes)]
    sizes = tuple(draw(st.integers(7, 10)) for _ in range(axes))
    group = draw(st.sampled_from([1, 2, 4]))
    if op.endswith("Pool"):
        attributes |= {"kernel_shape": kernel, "ceil_mode": draw(st.integers(0, 1))}
        if op == "AveragePool":
            attributes["count_include_pad"] = draw(st.integers(0, 1))
        return one_node(op, (2, 4, *sizes), attributes)
    if op == "ConvTranspose":
        attributes["output_padding"] = [draw(st.integers(0, stride - 1)) for stride in attributes["strides"]]
    weight = normal(4, 4 // group, *kernel)
    return one_node(op, (2, 4, *sizes), {**attributes, "group": group}, w=weight)


@given(windows(), st.integers(0, 99))
@examples(60)
def test_windows_of_every_kind(graph: Graph, seed: int) -> None:
    try:
        FloatSession(graph).run({"x": np.zeros(graph.shapes["x"], F)})
    except ModelbuildError:
        return  # forms that onnxruntime does not run
    assert difference(graph, seed, graph.nodes[0].op == "MaxPool") < 2e-3


SMOOTH = ("Sigmoid", "Tanh", "Softplus", "Erf")  # not Softsign, whose slope bends at 0
JOINING = ("Add", "Sub", "Mul")


@given(st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99), st.booleans()), min_size=1, max_size=8))
@examples(40)
def test_graphs_with_branches_and_several_outputs(steps: list[tuple[int, int, bool]]) -> None:
    made = ["x", "z"]
    nodes, outputs = [], []
    for number, (one, other, leaves) in enumerate(steps):
        op = JOINING[one % 3] if other % 2 else SMOOTH[one % len(SMOOTH)]
        inputs = [made[one % len(made)], made[other % len(made)]][: 2 if op in JOINING else 1]
        made.append(f"t{number}")
        nodes.append(Node(op, f"n{number}", inputs, [made[-1]]))
        outputs += made[-1:] if leaves else []
    nodes.append(Node("Sum", "end", list(dict.fromkeys(["x", "z", made[-1]])), ["y"]))
    nodes[-1:] = [Node("Add", "e0", ["x", "z"], ["e"]), Node("Add", "end", ["e", made[-1]], ["y"])]
    graph = graph_of(nodes, {"x": (2, 3), "z": (2, 1)}, [*outputs, "y"])
    assert difference(graph) < 2e-3


def test_an_operator_without_a_rule_stops_the_walk_and_is_named() -> None:
    nodes = [
        Node("Relu", "r", ["x"], ["a"]),
        Node("Round", "no_rule", ["a"], ["b"]),
        Node("Add", "join", ["b", "c"], ["y"]),
        Node("Tanh", "t", ["z"], ["c"]),
    ]
    graph = graph_of([nodes[0], nodes[1], nodes[3], nodes[2]], {"x": (2, 3), "z": (2, 3)}, ["y"])
    found = gradient_graph(graph, ["x", "a", "b", "c", "z", "y"])
    assert found.missing == {"x": "Round", "a": "Round"}
    assert set(found.names) == {"b", "c", "z", "y"}


def test_a_tensor_with_one_reader_without_a_rule_has_no_gradient() -> None:
    """Half a gradient would be a wrong one."""
    nodes = [
        Node("Round", "no_rule", ["x"], ["a"]),
        Node("Tanh", "t", ["x"], ["b"]),
        Node("Add", "join", ["a", "b"], ["y"]),
    ]
    found = gradient_graph(graph_of(nodes, {"x": (2, 3)}, ["y"]), ["x", "a", "b"])
    assert found.missing == {"x": "Round"} and set(found.names) == {"a", "b"}


def test_what_no_output_depends_on_is_told() -> None:
    nodes = [Node("Relu", "r", ["x"], ["y"]), Node("Tanh", "t", ["x"], ["unread"])]
    found = gradient_graph(graph_of(nodes, {"x": (2, 3)}, ["y"]), ["x", "unread"])
    assert found.missing == {"unread": ""} and set(found.names) == {"x"}


def test_an_output_of_codes_counts_as_the_floats_before_it() -> None:
    nodes = [Node("Tanh", "t", ["x"], ["a"]), Node("QuantizeLinear", "q", ["a", "s", "z"], ["y"])]
    constants = {"s": np.array(0.01, F), "z": np.array(0, np.int8)}
    found = gradient_graph(graph_of(nodes, {"x": (2, 3)}, ["y"], constants), ["x", "a"])
    assert set(found.cotangents) == {"a"} and set(found.names) == {"x", "a"}


def test_an_output_of_integers_has_no_gradient() -> None:
    found = gradient_graph(one_node("ArgMax", (2, 3)), ["x"])
    assert found.missing == {"x": "ArgMax"} and not found.names
