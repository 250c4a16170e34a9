"""The first look: of every channel of every tensor the ends and the sum, whatever the graph makes of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from modelbuild.errors import ModelbuildError
from modelbuild.graph.model import Graph, Node
from modelbuild.graph.session import FloatSession
from modelbuild.quantize.first_look import FirstLook
from tests.quantize.cases import graph_of, normal, samples_of


def mixed() -> Graph:
    """Tensors of four axes and of one, of float32, float64 and float16, and one that is melted."""
    nodes = [
        Node("Conv", "conv", ["x", "w"], ["c"], {"pads": [1, 1, 1, 1]}),
        Node("Clip", "clip", ["c", "low", "high"], ["y"]),
        Node("Cast", "wide", ["y"], ["d"], {"to": 11}),
        Node("Mul", "double", ["d", "two"], ["e"]),
        Node("Cast", "small", ["y"], ["h"], {"to": 10}),
        Node("ReduceMean", "mean", ["y"], ["m"], {"axes": [0, 1, 2], "keepdims": 0}),
    ]
    constants: dict[str, Any] = {
        "w": normal(4, 3, 3, 3),
        "low": np.float32(0),
        "high": np.float32(2),
        "two": np.array(2.0),
    }
    return graph_of(nodes, {"x": (2, 3, 5, 6)}, ["e", "h", "m"], constants)


def test_channels_of_all_tensors_in_all_samples() -> None:
    graph = mixed()
    samples = samples_of(graph, 3)
    look = FirstLook(graph, ["c"])
    first, *more = (look.run(sample, "") for sample in samples)
    for each in more:
        first = first.merged(each)
    session = FloatSession(graph, [name for name in first.sizes if name != "x"])
    seen = [{**sample, **session.run(sample)} for sample in samples]
    assert set(first.sizes) == {"x", "y", "d", "e", "h", "m"} and first.samples == 3
    for index, (name, found) in enumerate(first.extremes().items()):
        values = np.stack([np.asarray(each[name], np.float64) for each in seen])
        other = tuple(axis for axis in range(values.ndim) if values.ndim < 3 or axis != 2)
        assert found.count == values.size
        np.testing.assert_allclose(found.low, np.atleast_1d(values.min(axis=other)), rtol=1e-6)
        np.testing.assert_allclose(found.high, np.atleast_1d(values.max(axis=other)), rtol=1e-6)
        np.testing.assert_allclose(found.total, np.atleast_1d(values.sum(axis=other)), rtol=1e-4, atol=1e-4)
        assert first.ranges()[index].tolist() == list(found.range)


def test_powers_are_those_of_the_outputs() -> None:
    graph = mixed()
    (sample,) = samples_of(graph, 1)
    first = FirstLook(graph, ["c"]).run(sample, "")
    for name, values in FloatSession(graph).run(sample).items():
        assert first.powers[name] == pytest.approx(np.square(values, dtype=np.float64).sum(), rel=1e-6)


def test_sums_of_large_numbers_do_not_leave_float32() -> None:
    graph = graph_of([Node("Relu", "relu", ["x"], ["y"])], {"x": (1, 2, 4, 4)}, ["y"])
    values = np.full((1, 2, 4, 4), 3e38, np.float32)
    values[0, 1] = 1
    found = FirstLook(graph).run({"x": values}, "").extremes()["y"]
    np.testing.assert_allclose(found.total, [16 * 3e38, 16])
    np.testing.assert_allclose(found.high, [3e38, 1])


@pytest.mark.parametrize("melted", [True, False])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_named(melted: bool, bad: float) -> None:
    nodes = [Node("Mul", "mul", ["x", "w"], ["z"]), Node("Clip", "clip", ["z", "low", "high"], ["y"])]
    weight = np.ones((1, 2, 1, 1), np.float32)
    weight[0, 1] = bad
    constants = {"w": weight, "low": np.float32(0), "high": np.float32(1)}
    graph = graph_of(nodes, {"x": (1, 2, 3, 3)}, ["y"], constants)
    look = FirstLook(graph, ["z"] if melted else [])
    with pytest.raises(ModelbuildError) as caught:
        look.run({"x": np.ones((1, 2, 3, 3), np.float32)}, "calibration sample 1")
    assert str(caught.value).startswith("calibration sample 1: the tensor 'z' holds")


def test_the_first_tensor_that_is_not_finite_is_named_however_it_is_looked_at() -> None:
    nodes = [
        Node("Log", "log", ["x"], ["y"]),
        Node("Neg", "neg", ["y"], ["m"]),
        Node("Reshape", "flat", ["m", "all"], ["z"]),
    ]
    graph = graph_of(nodes, {"x": (1, 2, 4, 4)}, ["z"], {"all": np.array([-1])})
    for melted in ((), ("m",), ("y", "m")):
        with pytest.raises(ModelbuildError, match="the tensor 'y' holds NaN"):
            FirstLook(graph, melted).run({"x": np.full((1, 2, 4, 4), -1, np.float32)}, "sample")


def test_a_melted_tensor_of_large_numbers_is_fine() -> None:
    nodes = [Node("Mul", "mul", ["x", "w"], ["z"]), Node("Clip", "clip", ["z", "low", "high"], ["y"])]
    constants = {"w": np.float32(3e38), "low": np.float32(0), "high": np.float32(1)}
    graph = graph_of(nodes, {"x": (1, 1, 3, 3)}, ["y"], constants)
    first = FirstLook(graph, ["z"]).run({"x": np.ones((1, 1, 3, 3), np.float32)}, "")
    assert set(first.sizes) == {"x", "y"} and first.extremes()["y"].range == (1, 1)
