"""Mul and Add into a layer."""

from __future__ import annotations

import numpy as np
import pytest

from tests.graph.small import after, graph, numbers, only, ops, untouched


@pytest.mark.parametrize("shape", [(), (1, 3, 1, 1), (3, 1, 1)])
def test_bias_and_scale_after_a_conv(shape: tuple[int, ...]) -> None:
    steps = [("Conv", "x w", "a"), ("Add", "c a", "b"), ("Mul", "b d", "y")]
    before = graph(steps, {"w": numbers(3, 2, 3, 3), "c": numbers(*shape), "d": numbers(*shape, seed=2)})
    assert ops(after("fold_scale_and_shift", before)) == ["Conv"]


def test_a_plain_bias_keeps_the_weights_bit_for_bit() -> None:
    weights, bias = numbers(3, 2, 3, 3), numbers(3, 1, 1, seed=5)
    result = after(
        "fold_scale_and_shift", graph([("Conv", "x w", "a"), ("Add", "a c", "y")], {"w": weights, "c": bias})
    )
    conv = only(result, "Conv")
    assert np.array_equal(result.constants[conv.inputs[1]], weights)
    assert np.array_equal(result.constants[conv.inputs[2]], bias.reshape(-1))


def test_before_a_padded_conv_only_the_scale_folds() -> None:
    conv = ("Conv", "a w", "y", {"pads": [1, 1, 1, 1]})
    weights = {"w": numbers(3, 2, 3, 3)}
    assert ops(after("fold_scale_and_shift", graph([("Mul", "x c", "a"), conv], {**weights, "c": 0.5}))) == [
        "Conv"
    ]
    untouched("fold_scale_and_shift", graph([("Add", "x c", "a"), conv], {**weights, "c": 0.5}))


def test_a_constant_a_cell_stays() -> None:
    steps = [("Conv", "x w", "a"), ("Add", "a c", "y")]
    untouched("fold_scale_and_shift", graph(steps, {"w": numbers(3, 2, 3, 3), "c": numbers(1, 1, 2, 2)}))
