"""One file for one input, of every kind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from modelbuild.errors import ModelbuildError
from modelbuild.samples.loader import load
from modelbuild.samples.preprocess import Preprocess, from_settings

SHAPE = (1, 3, 2, 2)
FLOAT = np.dtype(np.float32)


def test_a_picture_is_preprocessed_and_an_array_is_not(tmp_path: Path) -> None:
    Image.new("RGB", (2, 2), (255, 0, 51)).save(tmp_path / "a.png")
    np.save(tmp_path / "a.npy", np.full(SHAPE, 9, np.float32))
    unit = from_settings({"preset": "unit"})
    assert load(tmp_path / "a.png", "x", SHAPE, "float32", unit)[0, :, 0, 0].tolist() == [
        1.0,
        0.0,
        np.float32(0.2),
    ]
    assert np.unique(load(tmp_path / "a.npy", "x", SHAPE, "float32", unit)).tolist() == [9.0]


def test_an_integer_input_takes_pixels(tmp_path: Path) -> None:
    Image.new("RGB", (2, 2), (255, 0, 51)).save(tmp_path / "a.png")
    pixels = load(tmp_path / "a.png", "x", SHAPE, np.uint8, Preprocess())
    assert pixels.dtype == np.uint8 and pixels[0, :, 1, 1].tolist() == [255, 0, 51]
    shifted = load(tmp_path / "a.png", "x", SHAPE, np.int8, Preprocess(mean=128.0))
    assert shifted[0, :, 1, 1].tolist() == [127, -128, -77]
    for dtype, p in ((np.int8, Preprocess()), (np.uint8, Preprocess(std=2.0))):
        with pytest.raises(ModelbuildError, match="does not fit"):
            load(tmp_path / "a.png", "x", SHAPE, dtype, p)


def test_errors_of_preprocessing_name_the_file(tmp_path: Path) -> None:
    Image.new("RGB", (4, 2)).save(tmp_path / "a.png")
    with pytest.raises(ModelbuildError) as caught:
        load(tmp_path / "a.png", "x", SHAPE, FLOAT, Preprocess())
    (problem,) = caught.value.problems
    assert problem.where == str(tmp_path / "a.png") and "4x2" in problem.what and "resize" in problem.advice


@pytest.mark.parametrize("name", ["a.txt", "a", "a.tif"])
def test_other_files_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(ModelbuildError, match="a sample cannot be"):
        load(tmp_path / name, "x", SHAPE, FLOAT, Preprocess())
