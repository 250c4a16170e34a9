"""Headers of .npy files: those that numpy writes, and nothing that is evaluated."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelbuild.errors import ModelbuildError
from modelbuild.formats import npy

SHAPES = st.lists(st.integers(0, 5), max_size=5).map(tuple)
TYPES = st.sampled_from(
    ["bool", "int8", "uint8", "int16", "int32", "uint64", "float16", "float32", "complex64"]
)


def saved(array: np.ndarray, version: tuple[int, int] | None = None) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, version)
    return buffer.getvalue()


@given(SHAPES, TYPES, st.sampled_from([None, (1, 0), (2, 0), (3, 0)]))
def test_what_numpy_writes_is_read(
    shape: tuple[int, ...], dtype: str, version: tuple[int, int] | None
) -> None:
    data = saved(np.zeros(shape, dtype), version)
    found = npy.read(data, "a")
    assert (found.shape, found.dtype, found.size) == (shape, dtype, np.zeros(shape, dtype).nbytes)
    assert found.offset + (found.size or 0) == len(data)


def test_order_and_byte_order_are_told() -> None:
    assert npy.read(saved(np.asfortranarray(np.ones((2, 3)))), "a").fortran_order
    assert npy.read(saved(np.ones(2, ">i4")), "a").dtype == "int32 big endian"
    assert npy.read(saved(np.array(["abc"])), "a").size == 12


def test_types_that_are_no_numbers_are_named_and_not_opened() -> None:
    buffer = io.BytesIO()
    np.save(buffer, np.array([{}], object), allow_pickle=True)
    found = npy.read(buffer.getvalue(), "a")
    assert (found.dtype, found.size) == ("objects (pickled, not opened)", None)
    found = npy.read(saved(np.zeros(2, [("a", "i4"), ("b", "f4")])), "a")
    assert found.dtype.startswith("unknown: {'descr': [(") and found.size is None


def header(text: bytes, version: int = 1) -> bytes:
    length = struct.pack("<H" if version == 1 else "<I", len(text))
    return npy.MAGIC + bytes((version, 0)) + length + text


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "does not start"),
        (npy.MAGIC + b"\1\0", "does not start"),
        (header(b"{}", 9), "version 9.0"),
        (npy.MAGIC + b"\1\0\xff\xff", "does not end"),
        (npy.MAGIC + b"\2\0\xff\xff\xff\xff", "does not end"),
        (header(b"{}"), "no shape or order"),
        (header(b"{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}"), "no shape"),
        (header(b"{'descr': '<f4', 'fortran_order': False, 'shape': (1 1,)}"), "shape is none"),
        (header(b"{'descr': '<f4', 'fortran_order': False, 'shape': (%s)}" % (b"1," * 65)), "shape is none"),
        (header(b"{'descr': '<f4', 'fortran_order': False, 'shape': (%s,)}" % (b"9" * 30)), "shape is none"),
    ],
)
def test_anything_else_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(ModelbuildError, match=message) as caught:
        npy.read(data, "a.npy")
    assert "a.npy" in str(caught.value) and caught.value.exit_code == 2
