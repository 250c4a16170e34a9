"""Slices of Slices become one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelbuild.graph import guard, slicing
from modelbuild.graph.normalise import normalise
from tests.graph.small import Step, after, graph, ops, untouched
from tests.hypotheses import examples


def cut(source: str, made: str, axis: int, start: int, end: int, step: int) -> tuple[Step, dict[str, Any]]:
    names = [f"{made}_{which}" for which in ("s", "e", "a", "t")]
    values = dict(zip(names, ([start], [end], [axis], [step]), strict=True))
    return ("Slice", " ".join([source, *names]), made), values


def test_one_slice_an_axis_is_one_slice() -> None:
    rows, given_rows = cut("x", "a", 2, 1, 4, 2)
    columns, given_columns = cut("a", "y", 3, 0, 3, 1)
    result = after("merge_slices", graph([rows, columns], {**given_rows, **given_columns}))
    assert ops(result) == ["Slice"]
    assert [list(result.constants[name]) for name in result.nodes[0].inputs[1:]] == [
        [1, 0],
        [4, 3],
        [2, 3],
        [2, 1],
    ]


def test_focus_keeps_four_slices() -> None:
    steps: list[Step] = []
    constants: dict[str, Any] = {}
    for index, (row, column) in enumerate([(0, 0), (1, 0), (0, 1), (1, 1)]):
        for step, values in (
            cut("x", f"r{index}", 2, row, 4, 2),
            cut(f"r{index}", f"c{index}", 3, column, 4, 2),
        ):
            steps.append(step)
            constants |= values
    steps.append(("Concat", "c0 c1 c2 c3", "y", {"axis": 1}))
    before = graph(steps, constants)
    assert ops(normalise(before)[0]) == ["Slice"] * 4 + ["Concat"]


def test_a_slice_that_something_else_reads_stays() -> None:
    first, one = cut("x", "a", 2, 1, 4, 1)
    second, two = cut("a", "b", 3, 0, 3, 1)
    relu: Step = ("Relu", "a", "c")
    join: Step = ("Concat", "c b", "y", {"axis": 3})
    untouched("merge_slices", graph([first, second, relu, join], {**one, **two}, x=(1, 2, 4, 4)))


@examples(100)
@given(st.data())
def test_any_two_slices_of_one_axis(data: st.DataObject) -> None:
    def bounds(size: int) -> tuple[int, int, int] | None:
        step = data.draw(st.integers(-3, 3).filter(bool))
        start, end = data.draw(st.integers(-9, 9)), data.draw(st.integers(-12, 12))
        last = None if step < 0 and end < -size else end
        return (start, end, step) if len(range(size)[start:last:step]) else None

    first = bounds(7)
    if first is None:
        return
    one, values = cut("x", "a", 1, *first)
    size = graph([one], values, x=(1, 7)).shapes["a"][1]
    second = bounds(size)
    if second is None:
        return
    two, more = cut("a", "y", 1, *second)
    before = graph([one, two], {**values, **more}, x=(1, 7))
    result, _ = normalise(before)
    assert ops(result) in (["Slice"], ["Identity"], [])
    guard.check(before, result, [{"x": np.arange(7, dtype=np.float32).reshape(1, 7)}])


@pytest.mark.parametrize("axes", [(1, 1), (2, 2)])
def test_concats_of_one_axis_are_one(axes: tuple[int, int]) -> None:
    steps: list[Step] = [
        ("Relu", "x", "r"), ("Concat", "x r", "a", {"axis": axes[0]}),
        ("Concat", "r a x", "y", {"axis": axes[1]}),
    ]  # fmt: skip
    result = after("merge_concats", graph(steps))
    assert ops(result) == ["Relu", "Concat"] and result.nodes[1].inputs == ["r", "x", "r", "x"]


def test_concats_of_two_axes_stay() -> None:
    steps: list[Step] = [
        ("Concat", "x x", "a", {"axis": 1}), ("Relu", "a", "r"), ("Concat", "a r", "y", {"axis": 2})
    ]  # fmt: skip
    untouched("merge_concats", graph(steps))


@examples(60)
@given(st.integers(-12, 12), st.integers(-12, 12), st.sampled_from([-3, -2, -1, 1, 2, 3]), st.integers(1, 6))
def test_bounds_are_limited_as_onnx_limits_them(start: int, end: int, step: int, size: int) -> None:
    """Backwards from before the axis is from its first cell, where Python takes nothing."""
    outer, values = cut("x", "a", 1, start, end, step)
    kept = len(slicing.kept(start, end, step, size))
    if not kept:
        return
    inner, more = cut("a", "y", 0, 0, 1, 1)
    after("merge_slices", graph([outer, inner], {**values, **more}, x=(2, size)))
