"""How windows lie in windows of 3x3: every tap meets the cell that it is to meet, and nothing else."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from modelbuild.graph.taps import Axis, plan_axis


def read(axis: Axis, size: int, place: int) -> dict[int, int | None]:
    """Tap -> the cell of the input that output `place` reads with it; None beyond the input. The border of a
    layer is one cell, which stands for what lies beyond the input."""
    found: dict[int, int | None] = {}
    for run in axis.runs:
        for tap, at in run.taps:
            cell = (axis.first + place) * axis.stride + at
            if not 0 <= cell < axis.size:
                assert cell in (-1, axis.size)
                found[tap] = None
            else:
                cell += run.start
                found[tap] = cell if 0 <= cell < size else None
    return found


@given(
    st.integers(1, 20),
    st.integers(1, 9),
    st.integers(1, 4),
    st.integers(1, 2),
    st.integers(0, 6),
    st.integers(0, 6),
    st.sampled_from([1, 3]),
    st.sampled_from([1, 2, 4]),
)
def test_every_tap_meets_its_cell(
    size: int, kernel: int, dilation: int, stride: int, before: int, after: int, window: int, pooled: int
) -> None:
    reach = dilation * (kernel - 1) + 1
    out = (size + before + after - reach) // stride + 1
    if out < 1 or kernel > 7:
        return
    positions = [tap * dilation - before for tap in range(kernel)]
    axis = plan_axis(size, out, positions, stride, window, pooled if stride == 1 else 1)
    assert axis.made >= axis.first + out and axis.size >= 4
    assert stride > 1 or axis.first % pooled == 0
    for place in range(out):
        expected = {tap: at + place * stride for tap, at in enumerate(positions)}
        assert read(axis, size, place) == {
            tap: cell if 0 <= cell < size else None for tap, cell in expected.items()
        }


def test_the_fewest_copies_are_taken() -> None:
    def copies(kernel: int, dilation: int = 1) -> int:
        return len(plan_axis(32, 32, [t * dilation - kernel // 2 for t in range(kernel)], 1, 3).runs)

    assert [copies(kernel) for kernel in (1, 2, 3, 4, 5, 6, 7, 9)] == [1, 1, 1, 2, 2, 2, 3, 3]
    assert copies(3, 2) == 2 and copies(3, 3) == 3


def test_a_layer_as_the_chip_has_it_needs_nothing() -> None:
    for kernel, stride in ((1, 1), (3, 1), (1, 2), (3, 2)):
        axis = plan_axis(16, 16 // stride, [t - kernel // 2 for t in range(kernel)], stride, kernel)
        assert axis.is_whole and axis.size == 16 and axis.runs[0].start == 0
