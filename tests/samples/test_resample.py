"""Resizing equals pillow where pillow's own order of passes is fixed, and known values elsewhere."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from modelbuild.samples import resample
from tests.hypotheses import examples

PILLOW = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "area": Image.Resampling.BOX,
}


def noise(height: int, width: int, channels: int = 3) -> resample.Pixels:
    return np.random.default_rng(height * 1000 + width).integers(0, 256, (height, width, channels), np.uint8)


@pytest.mark.parametrize("kernel", PILLOW)
@examples(60)
@given(height=st.integers(1, 40), width=st.integers(1, 40), new_width=st.integers(1, 60))
def test_each_pass_equals_pillow(kernel: str, height: int, width: int, new_width: int) -> None:
    picture = noise(height, width)
    theirs = Image.fromarray(picture).resize((new_width, height), PILLOW[kernel])
    np.testing.assert_array_equal(resample.resize(picture, height, new_width, kernel), np.asarray(theirs))
    turned = np.ascontiguousarray(picture.transpose(1, 0, 2))
    theirs = Image.fromarray(turned).resize((height, new_width), PILLOW[kernel])
    np.testing.assert_array_equal(resample.resize(turned, new_width, height, kernel), np.asarray(theirs))


@pytest.mark.parametrize("kernel", PILLOW)
@pytest.mark.parametrize("size", [(24, 31), (224, 224)])
def test_shrinking_both_ways_equals_pillow(kernel: str, size: tuple[int, int]) -> None:
    picture = noise(480, 640)
    theirs = Image.fromarray(picture).resize((size[1], size[0]), PILLOW[kernel])
    np.testing.assert_array_equal(resample.resize(picture, *size, kernel), np.asarray(theirs))


def test_the_width_is_resized_first() -> None:
    picture = noise(100, 50)
    by_hand = resample.resize(resample.resize(picture, 100, 60, "bilinear"), 90, 60, "bilinear")
    np.testing.assert_array_equal(resample.resize(picture, 90, 60, "bilinear"), by_hand)


def test_nearest_takes_the_pixel_that_holds_the_centre() -> None:
    row = np.arange(5, dtype=np.uint8).reshape(1, 5, 1)
    assert resample.resize(row, 1, 3, "nearest").ravel().tolist() == [0, 2, 4]
    assert resample.resize(row, 1, 10, "nearest").ravel().tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert resample.resize(row, 2, 5, "nearest").tolist() == [row[0].tolist()] * 2


def test_bilinear_values_by_hand() -> None:
    row = np.array([0, 100], np.uint8).reshape(1, 2, 1)
    assert resample.resize(row, 1, 4, "bilinear").ravel().tolist() == [0, 25, 75, 100]
    assert resample.resize(row, 1, 1, "bilinear").ravel().tolist() == [50]


@pytest.mark.parametrize("kernel", resample.FILTERS)
def test_a_flat_picture_stays_flat(kernel: str) -> None:
    for value in (0, 1, 127, 255):
        flat = np.full((7, 9, 3), value, np.uint8)
        for size in ((3, 4), (20, 31), (7, 9), (1, 1)):
            assert np.unique(resample.resize(flat, *size, kernel)).tolist() == [value]
