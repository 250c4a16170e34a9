"""Geometry of the column charts."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from modelbuild.report import chart
from modelbuild.report.chart import Column, columns


def drawn(*values: float | None) -> chart.Chart:
    made = columns([Column(value, str(value)) for value in values], "layer", "ms")
    assert made is not None
    return made


def test_heights_are_in_proportion() -> None:
    made = drawn(10.0, 20.0, 40.0)
    heights = [bar.height for bar in made.bars]
    assert heights[1] == pytest.approx(2 * heights[0], abs=0.02)
    assert heights[2] == pytest.approx(4 * heights[0], abs=0.02)
    assert all(bar.y + bar.height == pytest.approx(made.zero, abs=0.02) for bar in made.bars)
    assert [row.text for row in made.rows] == ["0", "10", "20", "30", "40"]


def test_negative_values_hang_from_the_axis() -> None:
    made = drawn(20.0, -10.0)
    assert [row.text for row in made.rows] == ["-10", "0", "10", "20"]
    up, down = made.bars
    assert down.y == made.zero and up.height == pytest.approx(2 * down.height, abs=0.02)


def test_labels_of_small_values_have_enough_digits() -> None:
    assert [row.text for row in drawn(0.0007).rows] == ["0.0000", "0.0002", "0.0004", "0.0006", "0.0008"]


def test_gaps_keep_their_number() -> None:
    made = drawn(1.0, None, 3.0)
    assert len(made.bars) == 2 and [tick.text for tick in made.numbers] == ["1", "2", "3"]
    assert made.bars[1].x - made.bars[0].x == pytest.approx(
        2 * (made.numbers[1].at - made.numbers[0].at), abs=0.02
    )


def test_nothing_to_draw_is_no_chart() -> None:
    assert columns([], "layer", "ms") is None
    assert columns([Column(None, "a")], "layer", "ms") is None


def test_all_zero_is_still_a_chart() -> None:
    assert [row.text for row in drawn(0.0, 0.0).rows] == ["0", "1"]


@example([5e-324])
@example([1e-12])
@given(st.lists(st.none() | st.floats(-300, 300), min_size=1, max_size=400))
def test_every_bar_stays_inside(values: list[float | None]) -> None:
    made = columns([Column(value, "") for value in values], "layer", "dB")
    if made is None:
        assert all(value is None for value in values)
        return
    assert 2 <= len(made.rows) <= 14 and len(made.numbers) <= 31
    for bar in made.bars:
        assert bar.x >= chart.LEFT and bar.x + bar.width <= chart.WIDTH - chart.RIGHT + 0.02
        assert bar.y >= chart.TOP - 0.02 and bar.y + bar.height <= made.bottom + 0.02
