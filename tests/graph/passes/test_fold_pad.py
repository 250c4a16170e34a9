"""Pad into the window that reads it."""

from __future__ import annotations

import numpy as np
import pytest

from tests.graph.small import after, graph, numbers, only, ops, untouched

PADS = {"p": [0, 0, 1, 0, 0, 0, 2, 1]}
POOL = {"kernel_shape": [3, 3]}


def test_into_conv() -> None:
    steps = [("Pad", "x p", "a"), ("Conv", "a w", "y", {"pads": [0, 1, 0, 0]})]
    result = after("fold_pad", graph(steps, {**PADS, "w": numbers(2, 2, 3, 3)}))
    assert ops(result) == ["Conv"]
    assert result.nodes[0].attributes["pads"] == [1, 1, 2, 1]


def test_into_average_pool_the_cells_count() -> None:
    result = after("fold_pad", graph([("Pad", "x p", "a"), ("AveragePool", "a", "y", POOL)], PADS))
    assert ops(result) == ["AveragePool"]
    assert result.nodes[0].attributes["count_include_pad"] == 1


def test_into_max_pool_behind_a_relu() -> None:
    pool = ("MaxPool", "a", "y", POOL)
    assert ops(after("fold_pad", graph([("Relu", "x", "r"), ("Pad", "r p", "a"), pool], PADS))) == [
        "Relu",
        "MaxPool",
    ]
    untouched("fold_pad", graph([("Pad", "x p", "a"), pool], PADS))


def test_into_max_pool_with_the_lowest_number() -> None:
    steps = [("Pad", "x p v", "a"), ("MaxPool", "a", "y", POOL)]
    assert ops(after("fold_pad", graph(steps, {**PADS, "v": np.float32(-np.inf)}))) == ["MaxPool"]


@pytest.mark.parametrize(
    ("pads", "value", "mode"),
    [([0, 1, 0, 0, 0, 0, 0, 0], 0, "constant"), (PADS["p"], 1, "constant"), (PADS["p"], 0, "reflect")],
)
def test_other_pads_stay(pads: list[int], value: float, mode: str) -> None:
    channels = 2 + sum(pads[1::4])
    steps = [("Pad", "x p v", "a", {"mode": mode}), ("Conv", "a w", "y")]
    constants = {"p": pads, "v": np.float32(value), "w": numbers(2, channels, 3, 3)}
    untouched("fold_pad", graph(steps, constants))


def test_a_pad_with_two_readers_stays_for_the_other() -> None:
    steps = [("Pad", "x p", "a"), ("Conv", "a w", "b"), ("GlobalMaxPool", "a", "c"), ("Add", "b c", "y")]
    result = after("fold_pad", graph(steps, {**PADS, "w": numbers(2, 2, 3, 3)}))
    assert only(result, "Conv").inputs[0] == "x"
    assert only(result, "GlobalMaxPool").inputs[0] == "a"


@pytest.mark.parametrize("is_output", [True, False])
def test_not_into_a_max_pool_whose_indices_are_read(is_output: bool) -> None:
    """They count the cells of what it reads: those of the padded tensor."""
    pool = ("MaxPool", "r_padded", ["a", "i"], {"kernel_shape": [2, 2], "strides": [2, 2]})
    steps = [("Relu", "x", "r"), ("Pad", "r p", "r_padded"), pool, ("MaxUnpool", "a i", "y", pool[3])]
    model = graph(steps[:-1] if is_output else steps, {"p": [0, 0, 1, 1, 0, 0, 1, 1]})
    untouched("fold_pad", model)
