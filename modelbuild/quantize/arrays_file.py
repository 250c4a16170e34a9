"""Named arrays <-> a .npz whose bytes depend on the arrays alone."""

from __future__ import annotations

import io
import math
import tokenize
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_EPOCH = (1980, 1, 1, 0, 0, 0)
_UNIX = 3  # APPNOTE.TXT 4.4.2.2; Python writes the system that it runs on
_KINDS = "iuf"
DAMAGED = (
    OSError, ValueError, KeyError, IndexError, EOFError, OverflowError, NotImplementedError, RuntimeError,
    MemoryError, SyntaxError, TypeError, zipfile.BadZipFile, tokenize.TokenError,
)  # fmt: skip  # what `read` and whoever looks at its arrays may meet in a damaged file


def write(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """A deterministic .npz: numpy's own carries the clock, and compressed bytes the version of zlib."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for key, array in arrays.items():
            entry = zipfile.ZipInfo(f"{key}.npy", _EPOCH)
            entry.create_system = _UNIX
            with archive.open(entry, "w", force_zip64=array.nbytes > 2**31) as stream:
                np.lib.format.write_array(stream, np.ascontiguousarray(array), allow_pickle=False)


def read(path: Path) -> dict[str, NDArray[Any]]:
    """The inverse of `write`; raises one of `DAMAGED`. Takes no more memory than the file has bytes."""
    size = path.stat().st_size
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        if sum(entry.file_size for entry in entries) > size:
            raise ValueError("its members are larger than the file")
        return {entry.filename.removesuffix(".npy"): _array(archive.read(entry)) for entry in entries}


def _array(data: bytes) -> NDArray[Any]:
    member = io.BytesIO(data)
    if np.lib.format.read_magic(member) != (1, 0):
        raise ValueError("an array of another version")
    shape, by_columns, dtype = np.lib.format.read_array_header_1_0(member)
    values = memoryview(data)[member.tell() :]
    if by_columns or dtype.kind not in _KINDS:
        raise ValueError(f"an array of {dtype}")
    if math.prod(shape) * dtype.itemsize != len(values):
        raise ValueError(f"{len(values)} bytes for an array of shape {shape}")
    return np.frombuffer(values, dtype).reshape(shape)
