"""Constants that follow each other are one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.graph.small import Step, after, graph, numbers, ops, untouched


@pytest.mark.parametrize("op", ["Mul", "Add"])
@pytest.mark.parametrize("second", [0.25, numbers(1, 2, 4, 4)])
def test_two_constants_are_one(op: str, second: Any) -> None:
    result = after(
        "merge_scales", graph([(op, "x a", "t"), (op, "b t", "y")], {"a": numbers(4), "b": second})
    )
    assert ops(result) == [op]
    assert result.nodes[0].origin == (f"{op.lower()}_0", f"{op.lower()}_1")


def test_three_are_one_after_another() -> None:
    steps: list[Step] = [("Mul", "x a", "s"), ("Mul", "s b", "t"), ("Mul", "t a", "y")]
    result = after("merge_scales", graph(steps, {"a": 2.0, "b": 3.0}))
    assert ops(result) == ["Mul"] and result.constants[result.nodes[0].inputs[1]] == np.float32(12)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (numbers(1, 1, 4, 1), numbers(1, 1, 1, 4)),  # larger than both
        (1e-30, 1e-30),  # no normal number
        (1e30, 1e30),
        (np.nan, 1.0),
        (numbers(3, 1, 1, 1), numbers(1)),  # the shape changes
    ],
)
def test_what_would_change_more_than_rounding_stays(first: Any, second: Any) -> None:
    untouched("merge_scales", graph([("Mul", "x a", "t"), ("Mul", "t b", "y")], {"a": first, "b": second}))


def test_a_value_that_something_else_reads_stays() -> None:
    steps: list[Step] = [("Mul", "x a", "t"), ("Mul", "t b", "u"), ("Sub", "t u", "y")]
    untouched("merge_scales", graph(steps, {"a": 2.0, "b": 3.0}))
