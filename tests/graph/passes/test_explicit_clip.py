"""Relu, or Clip with two constant bounds."""

from __future__ import annotations

import numpy as np
import pytest

from modelbuild.graph.model import Graph
from tests.graph.small import Step, after, graph, only, ops, untouched


def bounds(found: Graph) -> list[float]:
    clip = only(found, "Clip")
    return [float(found.constants[name]) for name in clip.inputs[1:]]


def test_from_zero_up_is_relu() -> None:
    assert ops(after("explicit_clip", graph([("Clip", "x low", "y")], {"low": np.float32(0)}))) == ["Relu"]


def test_a_missing_bound_is_the_largest_number() -> None:
    result = after("explicit_clip", graph([("Clip", "x _ high", "y")], {"high": np.float32(6)}))
    assert bounds(result) == [float(np.finfo(np.float32).min), 6.0]


@pytest.mark.parametrize(
    "steps",
    [
        [("Max", "x zero", "a"), ("Min", "a six", "y")],
        [("Min", "six x", "a"), ("Max", "zero a", "y")],
        [("Relu", "x", "a"), ("Clip", "a _ six", "y")],
        [("Relu", "x", "a"), ("Min", "a six", "y")],
    ],
)
def test_relu6_in_two_steps_is_one_clip(steps: list[Step]) -> None:
    result = after("explicit_clip", graph(steps, {"zero": np.float32(0), "six": np.float32(6)}))
    assert ops(result) == ["Clip"]
    assert bounds(result) == [0.0, 6.0]
    assert result.nodes[0].origin == (f"{steps[0][0].lower()}_0", f"{steps[1][0].lower()}_1")


def test_maximum_of_two_feature_maps_stays() -> None:
    untouched("explicit_clip", graph([("Neg", "x", "a"), ("Max", "x a", "y")]))
