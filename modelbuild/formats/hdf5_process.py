"""Reads an HDF5 file with h5py, in the process that `formats.hdf5` starts, and writes it to stdout."""

from __future__ import annotations

import json
import math
import os
import sys
import zipfile
import zlib
from collections.abc import Mapping
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from modelbuild.errors import ModelbuildError
from modelbuild.formats.hdf5 import LENGTH, damaged

_MAGIC = b"\x89HDF\r\n\x1a\n"
_MAX_UNFOLDED = 2**28  # bytes that a small file may hold after decompression
_MAX_FACTOR = 8  # times its size that a large one may
_MAX_MEMBERS = 200_000
_MAX_DEPTH = 64
_MAX_TEXT = 2**26
_SECONDS = 5  # of the processor, and one more for each `_BYTES_A_SECOND`
_BYTES_A_SECOND = 2**24
_MEMORY = 2**30
_ALL_ERRORS = (
    OSError, RuntimeError, ValueError, KeyError, TypeError, OverflowError, AttributeError, SystemError,
    MemoryError, AssertionError, IndexError, RecursionError, NotImplementedError, EOFError,
    zipfile.BadZipFile, zlib.error,
)  # fmt: skip


class _Walker:
    """Collects a file's tree and numbers. Runs in the process of its own."""

    def __init__(self, size: int, skip: str) -> None:
        self.chunks: list[NDArray[np.float32]] = []
        self._count = 0
        self._members = _MAX_MEMBERS
        self._left = max(_MAX_UNFOLDED, _MAX_FACTOR * size)
        self._skip = skip

    def group(self, group: Any, depth: int) -> dict[str, Any]:
        """The header of one group."""
        import h5py

        if depth > _MAX_DEPTH:
            raise damaged("its groups are nested without end")
        result: dict[str, Any] = {"texts": self._texts(group), "groups": {}, "arrays": {}, "refused": {}}
        for name in group:
            self._members -= 1
            if self._members < 0:
                raise damaged("it has too many members")
            if depth == 0 and name == self._skip:
                continue
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                result["refused"][name] = "is a link to another place; such links are never followed"
                continue
            member = group[name]
            if isinstance(member, h5py.Group):
                result["groups"][name] = self.group(member, depth + 1)
            elif isinstance(member, h5py.Dataset):
                reason = _strange(member)
                if reason:
                    result["refused"][name] = reason
                else:
                    result["arrays"][name] = self._array(member)
        return result

    def _array(self, dataset: Any) -> tuple[int, list[int]]:
        shape = [int(size) for size in dataset.shape]
        chunk = math.prod(dataset.chunks) if dataset.chunks else 0
        self._left -= (math.prod(shape) + chunk) * max(dataset.dtype.itemsize, 4)
        if self._left < 0:
            raise damaged("it would unfold to far more than its size")
        with np.errstate(over="ignore", invalid="ignore"):
            values = np.asarray(dataset[()]).astype("<f4").reshape(shape)
        start, self._count = self._count, self._count + values.size
        self.chunks.append(values)
        return start, shape

    def _texts(self, group: Any) -> dict[str, str | list[str]]:
        found: dict[str, str | list[str]] = {}
        for name in group.attrs:
            kind = group.attrs.get_id(name)
            size = math.prod(kind.shape) * kind.dtype.itemsize
            if kind.dtype.kind not in "SOU" and size:
                continue
            if size > _MAX_TEXT:
                raise damaged(f"`{name}` is too large")
            value = group.attrs[name]
            if isinstance(value, np.ndarray) and value.ndim:
                found[name] = [_text(item) for item in value.reshape(-1)]
            else:
                found[name] = _text(value)
        return found


def _text(value: Any) -> str:
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)


def _strange(dataset: Any) -> str:
    """Why the numbers of a dataset are not read; empty where they are."""
    if dataset.external or dataset.is_virtual:
        return "has its numbers in another file; they are never read from there"
    if dataset.shape is None or dataset.dtype.kind not in "fiu" or dataset.dtype.itemsize > 8:
        return "holds no numbers"
    return ""


def _open(path: str, part: str) -> tuple[Any, int]:
    """The open file and its size."""
    import h5py

    size = Path(path).stat().st_size
    if part:
        with zipfile.ZipFile(path) as archive, archive.open(part) as stream:
            if archive.getinfo(part).file_size > max(_MAX_UNFOLDED, _MAX_FACTOR * size):
                raise damaged("it would unfold to far more than its size")
            data = stream.read(max(_MAX_UNFOLDED, _MAX_FACTOR * size))
        _check_magic(data[: len(_MAGIC)])
        return h5py.File(BytesIO(data), "r"), size
    with Path(path).open("rb") as stream:
        _check_magic(stream.read(len(_MAGIC)))
    return h5py.File(path, "r"), size


def _check_magic(head: bytes) -> None:
    if head != _MAGIC:
        raise ModelbuildError("this is not an HDF5 file", advice="name a model saved by Keras")


def _limit(path: str) -> None:
    """Limits this process where the system can: Windows cannot, and macOS refuses a limit on memory."""
    try:
        import resource
    except ImportError:
        return
    size = Path(path).stat().st_size
    seconds = _SECONDS + size // _BYTES_A_SECOND
    memory = _MEMORY + 2 * _MAX_FACTOR * size
    wanted = ((resource.RLIMIT_CPU, seconds), (resource.RLIMIT_CORE, 0), (resource.RLIMIT_AS, memory))
    for kind, limit in wanted:
        hard = resource.getrlimit(kind)[1]
        soft = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        with suppress(ValueError, OSError):
            resource.setrlimit(kind, (soft, hard))


def _write(header: Mapping[str, Any], walker: _Walker | None, stream: BinaryIO) -> None:
    text = json.dumps(header).encode()
    text += b" " * (-(len(text) + LENGTH.size) % 8)
    stream.write(LENGTH.pack(len(text)) + text)
    for chunk in walker.chunks if walker else ():
        stream.write(chunk.tobytes())


def main() -> None:
    """Reads the file, part and skipped group that the arguments name, and writes what is in it to stdout."""
    path, part, skip = sys.argv[1:4]
    _limit(path)
    walker = None
    try:
        file, size = _open(path, part)
        walker = _Walker(size, skip)
        header = walker.group(file, 0)
    except ModelbuildError as error:
        header = {"error": error.to_json()}
    except _ALL_ERRORS as error:
        reason = (str(error).splitlines() or [""])[0] or type(error).__name__
        header = {"error": damaged(reason).to_json()}
    _write(header, None if "error" in header else walker, sys.stdout.buffer)
    sys.stdout.flush()
    os._exit(0)  # closing a damaged file may crash


if __name__ == "__main__":
    main()
