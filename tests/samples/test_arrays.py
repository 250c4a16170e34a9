"""`.npy` and `.npz`: what is accepted as a tensor, and what is refused before its data is read."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from modelbuild.errors import ModelbuildError
from modelbuild.samples.arrays import read_npy, read_npz
from tests.hypotheses import examples

FLOAT = np.dtype(np.float32)
SHAPE = (1, 3, 2, 4)


def values() -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.linspace(-1, 1, 24, dtype=np.float32).reshape(SHAPE)


@pytest.mark.parametrize("stored", [np.float16, np.float32, np.float64, ">f4"])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("shape", [SHAPE, SHAPE[1:]])
def test_floats_of_any_width_order_and_byte_order(
    tmp_path: Path, stored: Any, order: Any, shape: Any
) -> None:
    array = np.asarray(values().reshape(shape), dtype=stored, order=order)
    np.save(tmp_path / "a.npy", array)
    read = read_npy(tmp_path / "a.npy", SHAPE, FLOAT)
    assert read.dtype == FLOAT and read.shape == SHAPE
    np.testing.assert_array_equal(read.reshape(shape), array.astype(np.float32))


def test_integers_of_any_width_that_fit(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([[0, 255]], np.int64))
    assert read_npy(tmp_path / "a.npy", (1, 2), np.dtype(np.uint8)).tolist() == [[0, 255]]
    with pytest.raises(ModelbuildError, match="values beyond int8") as caught:
        read_npy(tmp_path / "a.npy", (1, 2), np.dtype(np.int8))
    problem = caught.value.problems[0]
    assert (problem.why, problem.advice) == ("they go from 0 to 255", "save what fits into int8")


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((3, 4, 2), np.float32), "the array has shape [3, 4, 2]"),
        (np.zeros((2, 3, 2, 4), np.float32), "the array has shape [2, 3, 2, 4]"),
        (np.zeros((1, 1, 3, 2, 4), np.float32), "the array has shape"),
        (np.zeros(24, np.float32), "the array has shape [24]"),
        (np.zeros(SHAPE, np.uint8), "the array holds uint8"),
        (np.zeros(SHAPE, np.complex64), "the array holds complex64"),
        (np.zeros(SHAPE, "U3"), "the array holds str"),
        (np.full(SHAPE, np.nan, np.float32), "NaN or infinity"),
        (np.full(SHAPE, 1e300), "values beyond float32"),
        (np.empty(SHAPE, object), "Python objects"),
    ],
)
def test_what_does_not_fit_is_said(tmp_path: Path, array: Any, message: str) -> None:
    path = tmp_path / "a.npy"
    np.save(path, array, allow_pickle=True)
    with pytest.raises(ModelbuildError) as caught:
        read_npy(path, SHAPE, FLOAT)
    assert message in str(caught.value) and str(path) in str(caught.value) and caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("stored", "shape", "advice"),
    [
        ((4, 5, 3), (1, 3, 4, 5), "its channels seem to come last: save numpy.moveaxis(array, -1, -3)"),
        ((1, 4, 5, 3), (1, 3, 4, 5), "its channels seem to come last: save numpy.moveaxis(array, -1, -3)"),
        ((1, 3, 4, 5), (1, 4, 5, 3), "its channels seem to come first: save numpy.moveaxis(array, -3, -1)"),
        ((1, 3, 5, 4), (1, 3, 4, 5), "save it as [1, 3, 4, 5] or [3, 4, 5]"),
        ((2, 3), (3, 2), "save it as [3, 2]"),
    ],
)
def test_channels_on_the_wrong_side_are_said(
    tmp_path: Path, stored: tuple[int, ...], shape: tuple[int, ...], advice: str
) -> None:
    array = np.arange(np.prod(stored), dtype=np.float32).reshape(stored)
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(ModelbuildError) as caught:
        read_npy(tmp_path / "a.npy", shape, FLOAT)
    assert caught.value.problems[0].advice == advice
    if "moveaxis" in advice:
        there, wanted = (-1, -3) if "last" in advice else (-3, -1)
        np.save(tmp_path / "a.npy", np.moveaxis(array, there, wanted))
        assert read_npy(tmp_path / "a.npy", shape, FLOAT).shape == shape


def test_a_claim_of_terabytes_allocates_nothing(tmp_path: Path) -> None:
    stream = io.BytesIO()
    header = {"descr": "<f8", "fortran_order": False, "shape": (1 << 20, 1 << 20)}
    np.lib.format.write_array_header_1_0(stream, header)
    (tmp_path / "a.npy").write_bytes(stream.getvalue())
    with pytest.raises(ModelbuildError, match="the array has shape"):
        read_npy(tmp_path / "a.npy", SHAPE, FLOAT)


def test_truncated_and_foreign_files(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    np.save(path, values())
    whole = path.read_bytes()
    for content, message in (
        (whole[:-1], "the array is truncated"),
        (whole[:20], "not a readable .npy array"),
        (b"", "not a readable .npy array"),
        (b"hello world, hello", "not a readable .npy array"),
        (whole[:6] + b"\x03\x00" + whole[8:], "version 3.0"),
        (whole[:6] + b"\x02\x00\xff\xff\xff\xff", "version 2.0"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
    ):
        path.write_bytes(content)
        with pytest.raises(ModelbuildError, match=message):
            read_npy(path, SHAPE, FLOAT)
    with pytest.raises(ModelbuildError, match="cannot read"):
        read_npy(tmp_path / "missing.npy", SHAPE, FLOAT)


def test_npz_holds_an_array_for_each_input(tmp_path: Path) -> None:
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "a.npz", **{"left/x:0": values(), "right": values()[0] * 2})
        np.testing.assert_array_equal(read_npz(tmp_path / "a.npz", "left/x:0", SHAPE, FLOAT), values())
        np.testing.assert_array_equal(read_npz(tmp_path / "a.npz", "right", SHAPE, FLOAT), values() * 2)


def test_npz_without_the_input_says_what_is_near(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images=values())
    with pytest.raises(ModelbuildError, match="no array called image") as caught:
        read_npz(tmp_path / "a.npz", "image", SHAPE, FLOAT)
    assert "did you mean `images`" in str(caught.value)
    np.savez(tmp_path / "a.npz", image=np.empty(SHAPE, object))
    with pytest.raises(ModelbuildError, match="Python objects"):
        read_npz(tmp_path / "a.npz", "image", SHAPE, FLOAT)


def test_npz_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, x=values())
    for content, message in (
        (path.read_bytes()[:-30], "not a readable .npz"),
        (b"", "not a readable .npz"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
    ):
        path.write_bytes(content)
        with pytest.raises(ModelbuildError, match=message):
            read_npz(path, "x", SHAPE, FLOAT)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", b"nothing")
    with pytest.raises(ModelbuildError, match=r"not a readable \.npy"):
        read_npz(path, "x", SHAPE, FLOAT)


@examples(200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
@pytest.mark.parametrize("suffix", ["npy", "npz"])
def test_damaged_files_give_tensors_or_clean_errors(tmp_path: Path, suffix: str, data: st.DataObject) -> None:
    whole = tmp_path / f"whole.{suffix}"
    if not whole.exists():
        if suffix == "npy":
            np.save(whole, values())
        else:
            np.savez_compressed(whole, x=values())
    damaged = bytearray(whole.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / f"damaged.{suffix}"
    path.write_bytes(damaged[: data.draw(st.integers(len(damaged) // 2, len(damaged)))])
    try:
        read = read_npy(path, SHAPE, FLOAT) if suffix == "npy" else read_npz(path, "x", SHAPE, FLOAT)
        assert read.shape == SHAPE and read.dtype == FLOAT
    except ModelbuildError as error:
        assert str(path) in str(error)
