"""Operators beyond those of the general quantizer, by value; and random graphs in both simulators."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from modelbuild.graph import shapes
from modelbuild.graph.kept_quantization import Kept
from modelbuild.graph.model import Graph, Node
from modelbuild.graph.quantized_border import dequantize_input, quantize_output
from modelbuild.graph.session import FloatSession
from tests.kpu.emitting import running
from tests.kpu.lowering.made import Lowered, conv, lowered, network, weights
from tests.kpu.lowering.random_graphs import large_graph, random_graph, samples
from tests.quantize.cases import F, graph_of, longs, normal, one_node

JUDGED, ALWAYS, MANY = 10, 40, 500
LARGE = 6  # graphs of large maps
MAP = (2, 3, 4, 5)
LEAST = 30.0  # signal by noise: 15 dB
# what a little more or less decides, and what divides by it
JUMPS = {
    "Ceil",
    "Floor",
    "Greater",
    "GreaterOrEqual",
    "Less",
    "LessOrEqual",
    "LpNormalization",
    "Round",
    "Sign",
}
JUMPS |= {"Shrink", "ThresholdedRelu"}
ROWS = np.array([[2, 0, 1], [-1, 1, 0]], np.int64)
LINES = {"mode": "linear", "coordinate_transformation_mode": "asymmetric"}

CASES: dict[str, Any] = {
    "Acosh": lambda: behind("Acosh", 1.5),
    "Atanh": lambda: one_node("Atanh", MAP, {}),
    "Asinh": lambda: one_node("Asinh", MAP),
    "Atan": lambda: one_node("Atan", MAP),
    "Celu": lambda: one_node("Celu", MAP, {"alpha": 0.7}),
    "Cosh": lambda: one_node("Cosh", MAP),
    "Sinh": lambda: one_node("Sinh", MAP),
    "Tan": lambda: one_node("Tan", MAP),
    "Shrink": lambda: one_node("Shrink", MAP, {"lambd": 0.4, "bias": 0.2}),
    "ThresholdedRelu": lambda: one_node("ThresholdedRelu", MAP, {"alpha": 0.3}),
    "CumSum": lambda: one_node("CumSum", MAP, {"reverse": 1, "exclusive": 1}, axis=np.array(2, np.int64)),
    "LRN": lambda: one_node("LRN", MAP, {"size": 3, "alpha": 0.5, "bias": 2.0}),
    "LogSoftmax": lambda: one_node("LogSoftmax", MAP, {"axis": 1}),
    "LpNormalization": lambda: one_node("LpNormalization", MAP, {"axis": 2, "p": 1}),
    "ReduceLogSumExp": lambda: one_node("ReduceLogSumExp", MAP, {"axes": [1, 3], "keepdims": 0}),
    "ReduceProd": lambda: one_node("ReduceProd", MAP, {"axes": [1, 3], "keepdims": 0}),
    "Trilu": lambda: one_node("Trilu", MAP, {"upper": 0}, k=np.array(1, np.int64)),
    "GatherElements": lambda: one_node("GatherElements", (2, 3), {"axis": 1}, i=ROWS),
    "GatherND": lambda: one_node("GatherND", MAP, {"batch_dims": 1}, i=np.array([[[1], [-1]], [[0], [2]]])),
    "ReverseSequence": lambda: one_node("ReverseSequence", (4, 3, 2), {}, lengths=longs(1, 4, 3)),
    "ScatterND": lambda: one_node("ScatterND", MAP, {}, i=longs(1).reshape(1, 1), u=normal(1, 3, 4, 5)),
    "ScatterElements": lambda: one_node("ScatterElements", (2, 3), {"axis": 1}, i=ROWS, u=normal(2, 3)),
    "functions of no axes": lambda: of_no_axes("LeakyRelu", "HardSigmoid", "Softplus"),
    "Resize by 1.5 and 0.7": lambda: one_node(
        "Resize", (1, 2, 5, 5), LINES, roi=np.array([], F), scales=np.array([1, 1, 1.5, 0.7], F)
    ),
    "Resize by 2 and 3": lambda: one_node(
        "Resize", (1, 2, 5, 5), LINES, roi=np.array([], F), scales=np.array([1, 1, 2, 3], F)
    ),
    "MatMul of a vector": lambda: one_node("MatMul", (2, 5), {}, w=normal(5)),
    "MatMul of spread batches": lambda: one_node("MatMul", (2, 1, 4, 5), {}, w=normal(3, 5, 2)),
}  # fmt: skip


def behind(op: str, offset: float) -> Graph:
    """Of what lies above a number."""
    nodes = [
        Node("Abs", "a", ["x"], ["b"]),
        Node("Add", "c", ["b", "k"], ["d"]),
        Node(op, "e", ["d"], ["y"]),
    ]
    graph = Graph("g", nodes, ["x"], ["y"], {"k": np.array(offset, F)}, {"x": MAP}, {"x": np.dtype(F)})
    shapes.infer(graph)
    return graph


def of_no_axes(*ops: str) -> Graph:
    """Functions of the mean of all numbers."""
    nodes = [Node("ReduceMean", "m", ["x"], ["t0"], {"keepdims": 0})]
    nodes += [Node(op, f"f{place}", [f"t{place}"], [f"t{place + 1}"]) for place, op in enumerate(ops)]
    return graph_of(nodes, {"x": MAP}, nodes[-1].outputs, {})


def near(made: Lowered, sample: dict[str, Any], share: float) -> None:
    """Of the graph as it was given, before any pass."""
    expected, found = FloatSession(made.source).run(sample), made.outputs(sample)
    for name in made.source.outputs:
        if np.isfinite(expected[name]).all():
            most = np.abs(expected[name]).max()
            np.testing.assert_allclose(found[name], expected[name], rtol=0, atol=share * max(most, 1e-6))


def like_floats(made: Lowered, sample: dict[str, Any]) -> None:
    """Bytes are near what the graph as it was given computes, where no function jumps."""
    if JUMPS & {node.op for node in made.source.nodes}:
        return
    expected, found = FloatSession(made.source).run(sample), made.outputs(sample)
    for name in made.source.outputs:
        x = expected[name].astype(float)
        signal, noise = np.square(x).sum(), np.square(x - found[name]).sum()
        assert not np.isfinite(signal) or noise <= signal / LEAST, name


@pytest.mark.parametrize("name", CASES)
def test_in_floats(name: str) -> None:
    graph = CASES[name]()
    given = [{key: value * F(0.3) for key, value in one.items()} for one in samples(graph, 1)]
    made = lowered(graph, "nncase-cpu", given)
    for sample in given:
        near(made, sample, 1e-5)
    running.check_simulated(made.fixed, given[0], running.compiled(made.fixed))


def test_the_mean_of_all_that_a_layer_makes() -> None:
    nodes = [conv("x", "a", "w"), Node("ReduceMean", "m", ["a"], ["y"], {"keepdims": 0})]
    made = lowered(network(nodes, (1, 3, 8, 8), weights(w=(4, 3, 3, 3))))
    assert made.fixed.tensors["y"].shape == () and made.snr() > 40
    running.check_simulated(made.fixed, made.samples[0], running.compiled(made.fixed))


@pytest.mark.parametrize(("name", "runtime"), [("Resize by 1.5 and 0.7", 0), ("Resize by 2 and 3", 1)])
def test_the_runtime_resizes_by_whole_pictures(name: str, runtime: int) -> None:
    """It works with cells out / cells in, ONNX with the given scale."""
    assert lowered(CASES[name](), "nncase-cpu").count("resize_bilinear") == runtime


def test_log_softmax_of_far_values_is_finite() -> None:
    graph = one_node("LogSoftmax", (1, 4))
    made = lowered(graph, "nncase-cpu", [{"x": np.array([[0, 300, -300, 1]], F)}])
    np.testing.assert_allclose(made.outputs(made.samples[0])["y"], [[-300, 0, -600, -299]], rtol=1e-6)


@pytest.mark.parametrize("chip", ["k210", "nncase-cpu"])
def test_codes_of_int8_stay_what_they_are(chip: str) -> None:
    node = conv("x", "y", "w")
    graph = network([node], (1, 3, 8, 8), weights(w=(4, 3, 3, 3)))
    dequantize_input(graph, "x", Kept("int8", (0.02,), (-7,)))
    quantize_output(graph, "y", Kept("int8", (0.05,), (3,)))
    shapes.infer(graph)
    rng = np.random.default_rng(1)
    given = [{"x": rng.integers(-128, 128, (1, 3, 8, 8)).astype(np.int8)} for _ in range(3)]
    made = lowered(graph, chip, given)
    assert [made.fixed.tensors[name].dtype for name in "xy"] == [np.int8, np.int8]
    found, expected = made.outputs(given[0])["y"], FloatSession(graph).run(given[0])["y"]
    assert found.dtype == np.int8 and np.abs(found.astype(int) - expected).max() <= (
        2 if chip == "k210" else 0
    )
    compiled = running.compiled(made.fixed)
    running.check_simulated(made.fixed, given[0], compiled)
    running.check_judged(made.fixed, given[0], compiled)


def test_a_constant_beside_what_a_layer_reads_is_bytes() -> None:
    nodes = [conv("x", "a", "u"), Node("Concat", "c", ["a", "k"], ["b"], {"axis": 1}), conv("b", "y", "w")]
    constants = {**weights(u=(4, 3, 3, 3), w=(4, 6, 3, 3)), "k": normal(1, 2, 8, 8)}
    made = lowered(network(nodes, (1, 3, 8, 8), constants))
    assert [each.kind for each in made.fixed.operators] == [
        "quantize", "kpu_conv", "concat", "kpu_conv", "dequantize",
    ]  # fmt: skip
    assert made.snr() > 28


def check(seed: int, graph: Graph, *, judged: bool) -> None:
    """What is built runs as the fixed model says, where it was said to run."""
    for chip in ("k210", "nncase-cpu"):
        given = samples(graph, seed)
        made = lowered(graph, chip, given)
        if chip == "k210":
            on_kpu = {name for each in made.kinds("kpu_conv") for name in each.origin}
            assert on_kpu == {name for name, unit in made.units.items() if unit != "cpu"}
            like_floats(made, given[0])
        else:
            near(made, given[0], 1e-4)
        compiled = running.compiled(made.fixed)
        running.check_simulated(made.fixed, given[0], compiled)
        if judged:
            running.check_near(made.fixed, given[0], compiled)


@pytest.mark.parametrize("seed", range(ALWAYS))
def test_random_graphs(seed: int) -> None:
    check(seed, random_graph(seed), judged=seed < JUDGED)


@pytest.mark.parametrize("seed", range(LARGE))
def test_random_graphs_of_large_maps(seed: int) -> None:
    check(seed, large_graph(seed), judged=seed < LARGE // 2)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(1000, 1000 + MANY))
def test_many_random_graphs(seed: int) -> None:
    check(seed, random_graph(seed), judged=True)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(1000, 1000 + MANY // 2))
def test_many_random_graphs_of_large_maps(seed: int) -> None:
    check(seed, large_graph(seed), judged=True)
