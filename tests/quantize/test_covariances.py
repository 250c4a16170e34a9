"""What observation keeps of the patches that first layers read: exact covariances, for these layers alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelbuild.errors import ModelbuildError
from modelbuild.graph import in_model
from modelbuild.graph.model import Graph, Node
from modelbuild.quantize import arrays_file, patches
from modelbuild.quantize.observations import Observations
from modelbuild.quantize.observe import observe
from modelbuild.quantize.readers import MOST_COLUMNS, covariance_of, readers
from modelbuild.quantize.weighted import weighted
from modelbuild.samples.preprocess import from_settings
from tests.quantize.cases import Sample, graph_of, normal, one_node, samples_of

WINDOWS: list[tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]] = [
    ((1, 3, 9, 9), (4, 3, 3, 3), {"pads": [1, 1, 1, 1]}),
    ((1, 3, 9, 8), (4, 3, 3, 2), {"strides": [2, 2], "dilations": [1, 2]}),
    ((1, 4, 7, 7), (8, 2, 3, 3), {"group": 2}),
    ((1, 3, 6, 6), (2, 3, 1, 1), {}),
    ((2, 2, 20), (3, 2, 5), {"pads": [2, 2]}),
]


def conv(shape: tuple[int, ...], kernel: tuple[int, ...], attributes: dict[str, Any]) -> Graph:
    return one_node("Conv", shape, attributes, w=normal(*kernel, seed=1))


def found_in(graph: Graph, samples: list[Sample]) -> np.ndarray:
    (covariance,) = observe(graph, samples).covariances.values()
    return covariance


def behind(node: Node, shape: tuple[int, ...] = (1, 3, 8, 8), **constants: Any) -> Graph:
    """A convolution that reads what `node` makes of `x`."""
    nodes = [node, Node("Conv", "c", ["t", "w"], ["y"])]
    return graph_of(nodes, {"x": shape}, ["y"], {"w": normal(4, 3, 3, 3), **constants})


@pytest.mark.parametrize(("shape", "kernel", "attributes"), WINDOWS)
def test_they_are_the_covariances_of_all_patches(shape, kernel, attributes) -> None:
    graph = conv(shape, kernel, attributes)
    samples = samples_of(graph, 5)
    node = graph.nodes[0]
    found = weighted(graph, node)
    assert found is not None
    window = patches.window_of(graph, node, found, "x")
    assert window is not None
    every = np.concatenate([window.patches(each["x"], np.arange(window.places)) for each in samples])
    centred = (every - every.mean(axis=0)).astype(np.float64)
    expected = np.einsum("ngk,ngl->gkl", centred, centred) / len(every)
    observed = observe(graph, samples)
    covariance = covariance_of(graph, observed, node, found, None)
    assert covariance is not None
    np.testing.assert_allclose(covariance, expected, atol=1e-3)
    factors = np.linspace(0.5, 1.0, found.channels)
    scaled = covariance_of(graph, observed, node, found, factors)
    columns = np.repeat(factors.reshape(found.group, -1), np.prod(kernel[2:]), axis=1)
    assert scaled is not None
    np.testing.assert_allclose(scaled * columns[:, None] * columns[:, :, None], covariance)


def test_of_many_places_some_are_seen() -> None:
    graph = conv((1, 1, 80, 80), (1, 1, 2, 2), {})
    samples = samples_of(graph, 4)
    np.testing.assert_allclose(found_in(graph, samples)[0], np.eye(4), atol=0.06)


def test_no_number_of_threads_and_no_order_changes_them() -> None:
    graph = conv(*WINDOWS[0])
    samples = samples_of(graph, 6)
    one = observe(graph, samples, 1).covariances
    for other in (observe(graph, samples, 4), observe(graph, samples[::-1])):
        assert all(np.array_equal(one[key], other.covariances[key]) for key in one)


@pytest.mark.parametrize(
    ("node", "constants"),
    [
        (Node("Mul", "n", ["x", "s"], ["t"]), {"s": normal(1, 3, 1, 1)}),
        (Node("Transpose", "n", ["x"], ["t"], {"perm": [0, 1, 3, 2]}), {}),
        (Node("Concat", "n", ["x"], ["t"], {"axis": 1}), {}),
    ],
)
def test_layers_behind_moves_and_normalisation_read_the_input(node: Node, constants: dict[str, Any]) -> None:
    graph = behind(node, **constants)
    assert [reader.tensor for reader in readers(graph)] == ["t"]
    assert found_in(graph, samples_of(graph)).shape == (1, 27, 27)


@pytest.mark.parametrize(
    "graph",
    [
        behind(Node("Relu", "n", ["x"], ["t"])),
        one_node("Conv", (1, 1, 8, 8), {}, w=normal(2, 1, 1, 1)),
        one_node("Conv", (1, MOST_COLUMNS + 1, 2, 2), {}, w=normal(2, MOST_COLUMNS + 1, 1, 1)),
        one_node("ConvTranspose", (1, 3, 4, 4), {}, w=normal(3, 2, 2, 2)),
        one_node("MatMul", (1, 12), {}, w=normal(12, 2)),
    ],
)
def test_other_layers_are_not_looked_at(graph: Graph) -> None:
    assert readers(graph) == []


@pytest.mark.parametrize("resized", [{}, {"resize": "stretch", "input_shape": [1, 8, 6, 3]}])
def test_layers_behind_raw_pictures_read_the_input(resized: dict[str, Any]) -> None:
    p = from_settings({"in_model": True, "mean": [1, 2, 3], "input_layout": "NHWC", **resized})
    graph = in_model.insert(conv(*WINDOWS[0]), {"x": p})
    draw = np.random.default_rng(2)
    samples: list[Sample] = [{"x": draw.integers(0, 256, graph.shapes["x"], np.uint8)} for _ in range(3)]
    (reader,) = readers(graph)
    assert reader.tensor == graph.nodes[-1].inputs[0] and found_in(graph, samples).max() > 100


def test_layers_that_read_alike_share_one() -> None:
    nodes = [Node("Conv", name, ["x", "w"], [name]) for name in ("a", "b")]
    graph = graph_of(nodes, {"x": (1, 3, 8, 8)}, ["a", "b"], {"w": normal(4, 3, 3, 3)})
    assert len(readers(graph)) == 1


def test_an_input_of_one_value_has_none() -> None:
    graph = conv(*WINDOWS[0])
    assert not observe(graph, [{"x": np.zeros((1, 3, 9, 9), np.float32)}]).covariances


def test_the_file_holds_them(tmp_path: Path) -> None:
    graph = conv(*WINDOWS[2])
    seen = observe(graph, samples_of(graph))
    seen.save(tmp_path / "o.npz")
    again = Observations.load(tmp_path / "o.npz").covariances
    assert again.keys() == seen.covariances.keys()
    assert all(np.array_equal(again[key], seen.covariances[key]) for key in again)


@pytest.mark.parametrize(
    "sizes", [[[2, 18, 17]], [[0, 18, 18]], [[1, 18, 18]], [[3, 18, 18]], [[2, -18, -18]]]
)
def test_a_damaged_file_is_refused(tmp_path: Path, sizes: list[list[int]]) -> None:
    graph, path = conv(*WINDOWS[2]), tmp_path / "o.npz"
    observe(graph, samples_of(graph)).save(path)
    arrays_file.write(path, {**arrays_file.read(path), "covariance_sizes": np.array(sizes)})
    with pytest.raises(ModelbuildError, match="not a file of observations"):
        Observations.load(path)
