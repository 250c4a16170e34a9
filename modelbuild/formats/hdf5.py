"""HDF5 files -> groups, texts and numbers. h5py reads them in a process of its own, under limits.

The C library below h5py loops or crashes on some damaged files; nothing within Python stops it. The process
writes a JSON header and, behind it, all numbers in float32; only then does the caller take anything.
"""

from __future__ import annotations

import importlib.util
import json
import math
import os
import resource
import struct
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from modelbuild.errors import ModelbuildError

_MAGIC = b"\x89HDF\r\n\x1a\n"
_MAX_UNFOLDED = 2**28  # bytes that a small file may hold after decompression
_MAX_FACTOR = 8  # times its size that a large one may
_MAX_MEMBERS = 200_000
_MAX_DEPTH = 64
_MAX_TEXT = 2**26
_SECONDS = 5  # of the processor, and one more for each `_BYTES_A_SECOND`
_BYTES_A_SECOND = 2**24
_MEMORY = 2**30
_LENGTH = struct.Struct("<Q")
_ALL_ERRORS = (
    OSError, RuntimeError, ValueError, KeyError, TypeError, OverflowError, AttributeError, SystemError,
    MemoryError, AssertionError, IndexError, RecursionError, NotImplementedError, EOFError,
    zipfile.BadZipFile, zlib.error,
)  # fmt: skip


@dataclass(frozen=True)
class Group:
    """A group: its text attributes, and what lies in it. `refused` tells why a member was not read."""

    texts: Mapping[str, str | list[str]] = field(default_factory=dict)
    groups: Mapping[str, Group] = field(default_factory=dict)
    arrays: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)

    def group(self, name: str) -> Group | None:
        """The group `name`. Raises where a link to another file stands for it."""
        self._refuse(name)
        return self.groups.get(name)

    def array(self, path: str) -> NDArray[np.float32]:
        """The numbers of the dataset at `path`. Raises where there are none."""
        *names, last = [part for part in path.split("/") if part] or [""]
        place: Group | None = self
        for name in names:
            place = None if place is None else place.group(name)
        if place is not None:
            place._refuse(last)
        if place is None or last not in place.arrays:
            raise damaged(f"there are no numbers `{path}`")
        return place.arrays[last]

    def list_of(self, name: str) -> list[str] | None:
        """The list of texts `name`; h5py's users split long ones into `name0`, `name1` ..."""
        whole = self.texts.get(name)
        if whole is not None:
            return list(whole) if isinstance(whole, list) else [whole]
        found: list[str] = []
        index = 0
        while f"{name}{index}" in self.texts:
            part = self.texts[f"{name}{index}"]
            found += part if isinstance(part, list) else [part]
            index += 1
        return found if index else None

    def _refuse(self, name: str) -> None:
        if name in self.refused:
            raise ModelbuildError(
                f"`{name}` in the HDF5 file {self.refused[name]}", advice="save the model again"
            )


def damaged(what: str) -> ModelbuildError:
    """The error for a file that contradicts itself."""
    return ModelbuildError(
        f"the HDF5 file is truncated or damaged: {what}",
        advice="compare its size with the original's and copy it again",
    )


def read(path: Path, part: str = "", skip: str = "") -> Group:
    """The file `path`, or the file `part` in the ZIP archive `path`, less the top group `skip`.

    Raises where h5py is not installed, or the file is damaged, unfolds to far more than its size, or takes
    the library longer or more memory than such a file may.
    """
    if importlib.util.find_spec("h5py") is None:
        raise ModelbuildError(
            "reading Keras models needs the package h5py",
            why="it is an optional extra",
            advice="type `pip install 'modelbuild[keras]'`",
        )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))}
    environment |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-P", "-m", "modelbuild.formats.hdf5", str(path), part, skip]
    ran = subprocess.run(command, capture_output=True, env=environment, check=False)
    if ran.returncode != 0 or len(ran.stdout) < _LENGTH.size:
        raise damaged(f"the HDF5 library gave up on it (status {ran.returncode})")
    end = _LENGTH.size + _LENGTH.unpack_from(ran.stdout)[0]
    header = json.loads(ran.stdout[_LENGTH.size : end])
    if "error" in header:
        raise ModelbuildError.from_json(header["error"])
    return _group(header, np.frombuffer(ran.stdout, "<f4", offset=end))


def _group(header: Mapping[str, Any], numbers: NDArray[np.float32]) -> Group:
    arrays = {
        name: numbers[start : start + math.prod(shape)].reshape(shape)
        for name, (start, shape) in header["arrays"].items()
    }
    groups = {name: _group(inner, numbers) for name, inner in header["groups"].items()}
    return Group(header["texts"], groups, arrays, header["refused"])


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
    size = Path(path).stat().st_size
    seconds = _SECONDS + size // _BYTES_A_SECOND
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    memory = _MEMORY + 2 * _MAX_FACTOR * size
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    if hard == resource.RLIM_INFINITY or hard > memory:
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))


def _write(header: Mapping[str, Any], walker: _Walker | None, stream: BinaryIO) -> None:
    text = json.dumps(header).encode()
    text += b" " * (-(len(text) + _LENGTH.size) % 8)
    stream.write(_LENGTH.pack(len(text)) + text)
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
