"""Operators that need no Reshape before them."""

from __future__ import annotations

from typing import Any

import pytest

from modelbuild.graph import guard
from modelbuild.graph.normalise import normalise
from tests.graph.small import Step, after, graph, numbers, ops, untouched


def between(op: str, shape: tuple[int, ...], flat: list[int], attributes: dict[str, Any]) -> Any:
    steps: list[Step] = [("Reshape", "x f", "a"), (op, "a", "b", attributes), ("Reshape", "b s", "y")]
    return graph(steps, {"f": flat, "s": list(shape)}, x=shape)


@pytest.mark.parametrize(
    ("op", "shape", "flat", "attributes"),
    [
        ("Relu", (1, 2, 3, 4), [6, 4], {}),
        ("Softmax", (1, 10, 1, 1), [1, 10], {"axis": 1}),
        ("LogSoftmax", (2, 1, 5), [2, 5], {"axis": 1}),
        ("Softmax", (2, 3, 4), [6, 2, 2], {"axis": 0}),  # no such axis
    ],
)
def test_the_reshapes_go(
    op: str, shape: tuple[int, ...], flat: list[int], attributes: dict[str, Any]
) -> None:
    before = between(op, shape, flat, attributes)
    if attributes.get("axis") == 0:
        untouched("operator_between_reshapes", before)
        return
    after("operator_between_reshapes", before)
    assert ops(normalise(before)[0]) == [op]


def test_a_softmax_over_several_axes_stays() -> None:
    untouched("operator_between_reshapes", between("Softmax", (1, 2, 3, 4), [1, 24], {"axis": 1}))


def test_the_rank_does_not_grow() -> None:
    untouched("operator_between_reshapes", between("Relu", (1, 2, 3, 4, 5), [1, 6, 4, 5], {}))


def test_layers_of_a_perceptron_on_a_sequence() -> None:
    steps: list[Step] = [
        ("MatMul", "x v", "a"), ("Add", "a b", "c"), ("Relu", "c", "d"), ("MatMul", "d w", "e"),
        ("Add", "b e", "y"),
    ]  # fmt: skip
    before = graph(steps, {"v": numbers(4, 4), "w": numbers(4, 4, seed=3), "b": numbers(4)}, x=(1, 6, 4))
    result, _ = normalise(before)
    assert ops(result) == ["Reshape", "Gemm", "Relu", "Gemm", "Reshape"]
    guard.check(before, result)
