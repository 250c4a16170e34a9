"""Weights of histograms are what errors of the values do to the outputs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from modelbuild.graph.gradient import differentiated, scores
from modelbuild.graph.model import Graph, Node
from modelbuild.graph.session import FloatSession
from modelbuild.quantize import observe as observing
from modelbuild.quantize.histogram import BINS
from modelbuild.quantize.observe import Observations, observe
from tests.quantize.cases import graph_of, normal, one_node, samples_of

RELU = one_node("Relu", (2, 3, 4))


def relative_noise(found: Observations, name: str, error: float) -> float:
    """Of errors of one size on all values of a tensor, zeros included."""
    weights = found.tensors[name].channel_weight
    assert weights is not None
    return float(error**2 * weights.sum() / found.samples / found.outputs)


def test_gradients_predict_the_noise_at_the_outputs() -> None:
    """Of a linear model exactly: errors of one size and random signs in front of a matrix."""
    matrix = normal(20, 30)
    graph = graph_of(
        [Node("MatMul", "m", ["x", "w"], ["y"]), Node("Mul", "s", ["y", "c"], ["z"])],
        {"x": (1, 20)},
        ["z"],
        {"w": matrix, "c": np.array(3.0, np.float32)},
    )
    samples = samples_of(graph, 200)
    found = observe(graph, samples)
    outputs = np.concatenate([sample["x"] for sample in samples]) @ matrix
    expected = 0.01**2 * float((matrix.astype(float) ** 2).sum()) / float((outputs**2).sum(axis=1).mean())
    assert relative_noise(found, "x", 0.01) == pytest.approx(expected, rel=0.15)
    power = float((3 * outputs.astype(float)) ** 2 @ np.ones(30) @ np.ones(200)) / 200
    assert relative_noise(found, "z", 0.01) == pytest.approx(0.01**2 * 30 / power, rel=1e-5)


def test_each_output_counts_relative_to_itself() -> None:
    nodes = [
        Node("Mul", "a", ["x", "large"], ["y"]),
        Node("Mul", "b", ["x", "small"], ["z"]),
    ]
    constants = {"large": np.array(1000, np.float32), "small": np.array(0.001, np.float32)}
    graph = graph_of(nodes, {"x": (1, 50)}, ["y", "z"], constants)
    found = observe(graph, samples_of(graph, 64))
    power = np.mean([np.square(sample["x"]).sum() for sample in samples_of(graph, 64)])
    assert found.outputs == 2
    assert relative_noise(found, "x", 0.01) == pytest.approx(0.01**2 * 50 / power, rel=0.1)


def test_weights_lie_where_the_values_are() -> None:
    """A Relu lets no error of a value below 0 through."""
    samples = samples_of(RELU, 5)
    found = observe(RELU, samples)
    histogram = found.tensors["x"].histogram
    assert histogram.weights is not None
    centres = histogram.low + (np.arange(BINS) + 0.5) * (histogram.high - histogram.low) / BINS
    assert not histogram.weights[centres < -0.01].any()
    assert histogram.weights[centres > 0.01].all() == histogram.counts[centres > 0.01].all()
    channels = found.tensors["x"].channels
    assert channels is not None and channels.weights is not None
    np.testing.assert_allclose(channels.counts.sum(axis=1), found.tensors["x"].count / 3)
    np.testing.assert_allclose(channels.weights.sum(axis=1), found.tensors["x"].channel_weight, rtol=1e-5)
    np.testing.assert_allclose(channels.weights.sum(), histogram.weights.sum(), rtol=1e-5)
    zeros = found.tensors["y"]
    assert zeros.channels is not None and zeros.histogram.zero_weight > 0
    assert zeros.channels.counts.sum() == zeros.count - zeros.histogram.zeros


def test_gradients_of_some_samples_stand_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = samples_of(RELU, 12)
    whole = observe(RELU, samples)
    monkeypatch.setattr(observing, "GRADIENT_SAMPLES", 3)
    part = observe(RELU, samples)
    np.testing.assert_array_equal(part.tensors["x"].histogram.counts, whole.tensors["x"].histogram.counts)
    assert relative_noise(part, "x", 1.0) == pytest.approx(relative_noise(whole, "x", 1.0), rel=0.4)


def test_why_a_tensor_has_no_gradient_is_told_and_kept(tmp_path: Path) -> None:
    nodes = [
        Node("Relu", "r", ["x"], ["a"]),
        Node("Round", "n", ["a"], ["b"]),
        Node("Neg", "e", ["b"], ["y"]),
        Node("Abs", "u", ["b"], ["unread"]),
    ]
    graph = graph_of(nodes, {"x": (1, 2, 8)}, ["y"])
    found = observe(graph, samples_of(graph, 2))
    assert found.no_gradient == {"x": "Round", "a": "Round", "unread": ""}
    for name, tensor in found.tensors.items():
        assert (tensor.histogram.weights is None) == (name in found.no_gradient)
        assert (tensor.channel_weight is None) == (name in found.no_gradient)
    found.save(tmp_path / "o.npz")
    again = Observations.load(tmp_path / "o.npz")
    assert again.no_gradient == found.no_gradient and again.outputs == 1
    for name, tensor in found.tensors.items():
        other = again.tensors[name]
        np.testing.assert_array_equal(other.histogram.weights, tensor.histogram.weights)
        np.testing.assert_array_equal(other.channel_weight, tensor.channel_weight)
        assert other.channels is not None and tensor.channels is not None
        np.testing.assert_array_equal(other.channels.counts, tensor.channels.counts)
        np.testing.assert_array_equal(other.channels.weights, tensor.channels.weights)


def test_graphs_of_which_no_node_makes_floats_are_observed() -> None:
    found = observe(one_node("ArgMax", (2, 3)), [{"x": normal(2, 3)}])
    assert found.no_gradient == {"x": "ArgMax"} and found.outputs == 0


def test_a_slope_that_is_infinite_is_no_gradient() -> None:
    graph = graph_of([Node("Relu", "r", ["x"], ["a"]), Node("Sqrt", "s", ["a"], ["y"])], {"x": (1, 9)}, ["y"])
    found = observe(graph, samples_of(graph, 2))
    assert found.no_gradient == {"a": "infinite"}, "the Relu takes none of it to x"


def test_scalars_and_outputs_of_zeros_are_observed() -> None:
    nodes = [Node("ReduceSum", "r", ["x"], ["y"], {"keepdims": 0}), Node("Mul", "m", ["x", "c"], ["z"])]
    graph = graph_of(nodes, {"x": (2, 3)}, ["y", "z"], {"c": np.zeros(1, np.float32)})
    found = observe(graph, samples_of(graph, 2))
    assert found.outputs == 1 and found.tensors["y"].count == 2 and not found.no_gradient


def network() -> Graph:
    """Convolutions with bounds, a sum, and a classifier."""
    nodes = [
        Node("Conv", "c1", ["x", "w1"], ["a"], {"pads": [1, 1, 1, 1]}),
        Node("Clip", "r1", ["a", "low", "high"], ["b"]),
        Node("Conv", "c2", ["b", "w2"], ["c"], {"pads": [1, 1, 1, 1], "group": 8}),
        Node("Relu", "r2", ["c"], ["d"]),
        Node("Conv", "c3", ["d", "w3"], ["e"]),
        Node("Add", "sum", ["b", "e"], ["f"]),
        Node("Conv", "c4", ["f", "w4"], ["h"], {"strides": [2, 2]}),
        Node("Relu", "r4", ["h"], ["i"]),
        Node("Flatten", "flat", ["i"], ["j"]),
        Node("Gemm", "head", ["j", "w5"], ["y"]),
    ]
    constants = {
        "w1": normal(8, 3, 3, 3) / 3,
        "low": np.array(0, np.float32),
        "high": np.array(2, np.float32),
        "w2": normal(8, 1, 3, 3) / 3,
        "w3": normal(8, 8, 1, 1) / 3,
        "w4": normal(12, 8, 3, 3) / 8,
        "w5": normal(300, 10, seed=5) / 17,
    }
    return graph_of(nodes, {"x": (1, 3, 12, 12)}, ["y"], constants)


@pytest.mark.parametrize("name", ["b", "d", "f", "i"])
@pytest.mark.parametrize(("share", "within_db"), [(1.0, 1.5), (0.5, 3.0)])
def test_the_noise_of_one_quantized_tensor_is_predicted(name: str, share: float, within_db: float) -> None:
    """What the rest of the network makes of it; clipped to half, errors are few and of one sign."""
    graph = network()
    samples = samples_of(graph, 48)
    found = observe(graph, samples)
    observed = found.tensors[name].histogram
    low, high = share * min(observed.low, 0), share * observed.high
    step = (high - low) / 255

    def quantized(values: np.ndarray) -> np.ndarray:
        return np.asarray(np.clip(np.rint(values / step) * step, low, high), np.float32)

    start = next(k for k, node in enumerate(graph.nodes) if name in node.outputs) + 1
    inputs = ["d", "b"] if name == "d" else [name]
    rest = Graph("rest", graph.nodes[start:], inputs, ["y"], graph.constants, graph.shapes, graph.dtypes)
    whole, behind_it = FloatSession(graph, "all"), FloatSession(rest)
    noise = power = 0.0
    for sample in samples:
        tensors = whole.run(sample)
        fed = {key: tensors[key] for key in inputs}
        changed = behind_it.run({**fed, name: quantized(fed[name])})["y"]
        noise += float(np.square(changed - tensors["y"]).sum())
        power += float(np.square(tensors["y"]).sum())
    assert observed.weights is not None
    fine = (np.arange(BINS * 8).reshape(BINS, 8) + 0.5) / 8
    values = observed.low + fine * (observed.high - observed.low) / BINS
    errors = np.square(quantized(values) - values).mean(axis=1)
    predicted = float((observed.weights * errors).sum()) / found.samples / found.outputs
    assert abs(10 * np.log10(predicted * power / noise)) < within_db


def softmax_model(*behind: Node) -> Graph:
    """Of 12 numbers 4 scores and their probabilities, and what is done with these."""
    nodes = [
        Node("MatMul", "m", ["x", "w"], ["s"]),
        Node("Softmax", "p", ["s"], ["p"], {"axis": -1}),
        *behind,
    ]
    output = behind[-1].outputs[0] if behind else "p"
    constants = {"w": normal(12, 4), "to": np.array([4, 1], np.int64)}
    return graph_of(nodes, {"x": (1, 12)}, [output], constants)


def centred_power(samples: list[dict[str, np.ndarray]], matrix: np.ndarray) -> float:
    """The mean squared norm of the scores, without the mean that a Softmax does not see."""
    rows = np.concatenate([sample["x"] for sample in samples]).astype(float) @ matrix
    return float(np.square(rows - rows.mean(axis=1, keepdims=True)).sum(axis=1).mean())


def test_a_saturated_softmax_leaves_the_scores_their_weights() -> None:
    """All samples are sure of their class, so that probabilities have no gradient; the scores have theirs."""
    graph = softmax_model()
    samples = [{"x": 1e3 * sample["x"]} for sample in samples_of(graph, 200)]
    found = observe(graph, samples)
    matrix = graph.constants["w"].astype(float)
    spread = matrix - matrix.mean(axis=1, keepdims=True)
    expected = 0.01**2 * float(np.square(spread).sum()) / centred_power(samples, matrix) / 2
    assert found.outputs == 2
    assert relative_noise(found, "x", 0.01) == pytest.approx(expected, rel=0.15)


@pytest.mark.parametrize(
    "behind",
    [
        (),
        (Node("Reshape", "r", ["p", "to"], ["y"]),),
        (Node("Reshape", "r", ["p", "to"], ["t"]), Node("Transpose", "u", ["t"], ["y"], {"perm": [1, 0]})),
    ],
)
def test_scores_end_the_model_beside_the_probabilities(behind: tuple[Node, ...]) -> None:
    graph = softmax_model(*behind)
    assert scores(graph) == {"s": 1}
    assert differentiated(graph) == [graph.outputs[0], "s"]


def test_scores_that_are_outputs_count_once() -> None:
    graph = softmax_model()
    graph.outputs = ["p", "s"]
    assert scores(graph) == {}
    assert observe(graph, samples_of(graph, 3)).outputs == 2


def test_a_softmax_within_the_model_is_no_end() -> None:
    graph = softmax_model(Node("Mul", "q", ["p", "p"], ["y"]))
    assert scores(graph) == {} and differentiated(graph) == ["y"]


def two_softmaxes(first: int, second: int) -> Graph:
    """Two of one tensor, each with its own output."""
    nodes = [
        Node("Relu", "r", ["x"], ["s"]),
        Node("Softmax", "p", ["s"], ["p"], {"axis": first}),
        Node("Softmax", "q", ["s"], ["q"], {"axis": second}),
    ]
    return graph_of(nodes, {"x": (1, 3, 4, 5)}, ["p", "q"])


def test_scores_of_two_softmaxes() -> None:
    """What one of them does not see the other does."""
    assert scores(two_softmaxes(1, -3)) == {"s": 1}
    graph = two_softmaxes(1, -1)
    assert scores(graph) == {} and differentiated(graph) == ["p", "q"]
    assert observe(graph, samples_of(graph, 2)).outputs == 2


@pytest.mark.parametrize("axis", [1, -2])
def test_scores_along_any_axis_count_without_their_mean(axis: int) -> None:
    """What is the same all along the axis is nothing to a Softmax: neither counts an error of it, nor are
    others relative to it."""
    factor = 1e6 * np.array([1, 2, 3, 4], np.float32).reshape((4, 1, 1) if axis == 1 else (1, 4, 1))
    nodes = [
        Node("Mul", "m", ["x", "factor"], ["a"]),
        Node("Add", "b", ["a", "same"], ["s"]),
        Node("Softmax", "p", ["s"], ["p"], {"axis": axis}),
    ]
    shape = (1, 4, 4, 5)
    constants = {"factor": factor, "same": 1e7 * np.arange(5, dtype=np.float32)}
    graph = graph_of(nodes, {"x": shape}, ["p"], constants)
    samples = samples_of(graph, 100)
    found = observe(graph, samples)
    made = [factor * sample["x"].astype(float) for sample in samples]
    power = np.mean([np.square(each - each.mean(axis=axis, keepdims=True)).sum() for each in made])
    left = 1 - 1 / 4  # of one value's error, without the mean of 4
    expected = left * float(np.square(np.broadcast_to(factor, shape).astype(float)).sum()) / power / 2
    assert relative_noise(found, "x", 1.0) == pytest.approx(expected, rel=0.1)


@pytest.mark.filterwarnings("error")
def test_slopes_too_large_for_float32_are_not_warned_of() -> None:
    graph = one_node("Mul", (1, 3, 4, 4), c=np.array(1e30, np.float32))
    found = observe(graph, samples_of(graph, 2))
    assert found.no_gradient == {"x": "infinite"}
