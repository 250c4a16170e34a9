"""The two ways to compute windows over single channels agree with sums written out."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from modelbuild.npu.simulator import depthwise as room
from modelbuild.npu.simulator.depthwise import Axis, depthwise

axes = st.builds(
    Axis,
    kernel=st.integers(1, 4),
    stride=st.integers(1, 3),
    dilation=st.integers(1, 3),
    pad=st.integers(-3, 4),
    step=st.sampled_from([1, 1, 1, 2, 3]),
    inputs=st.integers(1, 7),
    outputs=st.integers(1, 7),
)


def written_out(x: np.ndarray, weights: np.ndarray, down: Axis, across: Axis) -> np.ndarray:
    total = np.zeros((len(x), down.outputs, across.outputs))
    for row, column in np.ndindex(total.shape[1:]):
        for i, j in np.ndindex(down.kernel, across.kernel):
            y = row * down.stride - down.pad + i * down.dilation
            z = column * across.stride - across.pad + j * across.dilation
            inside = 0 <= y <= (down.inputs - 1) * down.step and 0 <= z <= (across.inputs - 1) * across.step
            if inside and y % down.step == z % across.step == 0:
                cells = x[:, y // down.step, z // across.step]
                total[:, row, column] += weights[:, i * across.kernel + j] * cells
    return total


@given(axes, axes, st.integers(1, 5), st.integers(0, 99))
def test_windows_against_sums_written_out(down: Axis, across: Axis, channels: int, seed: int) -> None:
    draw = np.random.default_rng(seed)
    x = draw.integers(-9, 9, (channels, down.inputs, across.inputs)).astype(np.float32)
    weights = draw.integers(-9, 9, (channels, down.kernel * across.kernel)).astype(np.float32)
    expected = written_out(x, weights, down, across)
    assert np.array_equal(depthwise(x, weights, down, across), expected)
    by_taps = np.empty_like(expected)
    room._by_taps(x, weights, down, across, by_taps)
    assert np.array_equal(by_taps, expected)


def test_a_window_far_larger_than_the_picture_takes_no_memory() -> None:
    """One cell, seen by one of 65,535 x 65,535 taps: padding would take 16 GiB."""
    axis = Axis(65535, 1, 1, 65534, 1, 1, 1)
    weights = np.zeros((1, 1), np.float32).repeat(65536, axis=1)
    seen = axis.taps()
    assert [tap for tap, _, _ in seen] == [65534]
    short = Axis(1, 1, 1, 0, 1, 1, 1)
    weights[0, 65534] = 3
    assert depthwise(np.full((1, 1, 1), 5, np.float32), weights, short, axis).tolist() == [[[15.0]]]
