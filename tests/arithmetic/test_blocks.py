"""Blocks of any size give the same integers: strips of rows, groups of channels, pieces of accumulators."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelbuild.arithmetic import convolution, elementwise, pooling, requantize
from modelbuild.arithmetic.multiplier_shift import run
from modelbuild.arithmetic.windows import Planes, Window, extents
from tests.arithmetic import oracle
from tests.arithmetic.dice import Dice
from tests.arithmetic.random_models import BUILDERS
from tests.hypotheses import examples

SIZES = ((convolution, "MATRIX"), (convolution, "LINE"), (pooling, "CELLS"), (elementwise, "PIECE"))


@pytest.mark.parametrize("kind", ["conv", "max_pool", "average_pool", "add", "gemm", "matmul"])
def test_small_blocks(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requantize, "PIECE", 5)
    for module, name in SIZES:
        monkeypatch.setattr(module, name, 40)
    monkeypatch.setattr(convolution, "LEAST_BLOCK", 3)
    for seed in range(40):
        dice = Dice(seed, 8 + 8 * (seed % 2))
        model = BUILDERS[kind](dice)
        inputs = dice.inputs(model)
        np.testing.assert_array_equal(run(model, inputs)["y"], oracle.run(model, inputs)["y"])


@examples(200)
@given(data=st.data())
def test_planes_hold_what_each_tap_meets(data: st.DataObject) -> None:
    pair = st.tuples(st.integers(1, 4), st.integers(1, 4))
    kernel, strides, dilations = (data.draw(pair) for _ in range(3))
    pads = data.draw(st.tuples(*(st.integers(0, 9) for _ in range(4))))
    picture = np.arange(1, 1 + 2 * 5 * 7).reshape(2, 5, 7)
    out = extents(picture.shape, kernel, strides, dilations, pads)
    if min(out) < 1:
        return
    planes = Planes(Window(kernel, strides, dilations, pads, out), picture.shape[1:])
    padded = np.pad(picture, ((0, 0), (pads[0], pads[2]), (pads[1], pads[3])), constant_values=-1)
    for channels, rows in planes.blocks(2, data.draw(st.integers(1, 200))):
        count = rows.stop - rows.start
        cells = np.zeros(planes.shape(channels.stop - channels.start, count), int)
        planes.load(picture[channels], rows.start, -1, cells)
        for i, down in enumerate(planes.rows.taps):
            for j, along in enumerate(planes.columns.taps):
                met = cells[down.plane, along.plane, :, down.place :, along.place :][:, :count, : out[1]]
                first = i * dilations[0] + rows.start * strides[0]
                right = padded[channels, first :: strides[0], j * dilations[1] :: strides[1]]
                np.testing.assert_array_equal(met, right[:, :count, : out[1]])


def test_one_window_needs_one_plane_and_far_taps_small_blocks() -> None:
    whole = Planes(Window((56, 56), (56, 56), (1, 1), (0, 0, 0, 0), (1, 1)), (56, 56))
    assert whole.shape(3, 1) == (1, 1, 3, 56, 56)
    far = Planes(Window((2, 1), (1, 1), (200, 1), (0, 0, 0, 0), (1, 9)), (201, 9))
    first, _ = next(far.blocks(1000, 1 << 14))
    assert first == slice(0, (1 << 14) // (201 * 9))
