"""HDF5 files through h5py, an optional extra: plain datasets inside of the file, none larger than agreed."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from modelbuild.errors import ModelbuildError
from modelbuild.graph.model import Array

_MAGIC = b"\x89HDF\r\n\x1a\n"
_MAX_UNFOLDED = 2**28  # bytes that a small file may hold after decompression
_MAX_FACTOR = 8  # times its size that a large one may
_MAX_NAMES = 100_000
_KINDS = "fiu"


class Hdf5:
    """An open file. Everything that h5py or the library below it raises becomes a ModelbuildError."""

    def __init__(self, file: Any, size: int) -> None:
        self.root = file
        self._left = max(_MAX_UNFOLDED, _MAX_FACTOR * size)

    def group(self, parent: Any, name: str) -> Any | None:
        """The group `name` of `parent` as a hard link, or None."""
        with _clean():
            return self._child(parent, name, "Group")

    def names(self, parent: Any) -> list[str]:
        """The names in a group, in their stored order."""
        with _clean():
            if len(parent) > _MAX_NAMES:
                raise damaged("a group has too many entries")
            return [str(name) for name in parent]

    def array(self, parent: Any, path: str) -> Array:
        """The numbers of the dataset `path` in float32. Raises where it is no plain one, or too large."""
        with _clean():
            *groups, last = [part for part in path.split("/") if part]
            for part in groups:
                parent = self._child(parent, part, "Group")
                if parent is None:
                    raise damaged(f"there is no `{path}`")
            dataset = self._child(parent, last, "Dataset")
            if dataset is None:
                raise damaged(f"there is no `{path}`")
            return self._read(dataset, path)

    def text(self, parent: Any, name: str, largest: int = 2**26) -> str | None:
        """The attribute `name` as text, or None."""
        with _clean():
            value = self._attribute(parent, name, largest)
            if isinstance(value, np.ndarray) and value.dtype.kind in "SU" and value.size == 1:
                value = value.reshape(())[()]
            if isinstance(value, bytes):
                return bytes(value).decode("utf-8")
            return str(value) if isinstance(value, str) else None

    def texts(self, parent: Any, name: str) -> list[str] | None:
        """The attribute `name` as a list of texts, or None. Long lists are split into `name0`, `name1` ..."""
        with _clean():
            if name in parent.attrs:
                return self._listed(parent, name)
            found: list[str] = []
            for index in range(_MAX_NAMES):
                if f"{name}{index}" not in parent.attrs:
                    return found if index else None
                found += self._listed(parent, f"{name}{index}")
            raise damaged(f"there are too many `{name}`")

    def _listed(self, parent: Any, name: str) -> list[str]:
        values = self._attribute(parent, name, 2**26)
        if not isinstance(values, np.ndarray) or values.ndim != 1 or len(values) > _MAX_NAMES:
            raise damaged(f"`{name}` is no list of names")
        if not len(values):
            return []
        return [value.decode("utf-8") if isinstance(value, bytes) else str(value) for value in values]

    def _attribute(self, parent: Any, name: str, largest: int) -> Any:
        if name not in parent.attrs:
            return None
        kind = parent.attrs.get_id(name)
        if math.prod(kind.shape) * kind.dtype.itemsize > largest:
            raise damaged(f"`{name}` is too large")
        return parent.attrs[name]

    def _child(self, parent: Any, name: str, kind: str) -> Any | None:
        import h5py

        link = parent.get(name, getlink=True) if name in parent else None
        if link is None:
            return None
        if not isinstance(link, h5py.HardLink):
            raise ModelbuildError(
                f"`{name}` lies in another file or place",
                why="the HDF5 file has a link where numbers belong; such links are never followed",
                advice="save the model again",
            )
        child = parent[name]
        if not isinstance(child, getattr(h5py, kind)):
            raise damaged(f"`{name}` is no {kind.lower()}")
        return child

    def _read(self, dataset: Any, path: str) -> Array:
        if dataset.external or dataset.is_virtual:
            raise ModelbuildError(
                f"the numbers of `{path}` lie in another file", why="they are never read from there"
            )
        shape, dtype = tuple(int(size) for size in dataset.shape or ()), dataset.dtype
        if dataset.shape is None or dtype.kind not in _KINDS or dtype.itemsize > 8:
            raise damaged(f"`{path}` holds no numbers")
        chunk = math.prod(dataset.chunks) if dataset.chunks else 0
        self._left -= (math.prod(shape) + chunk) * max(dtype.itemsize, 4)
        if self._left < 0:
            raise damaged("it would unfold to far more than its size")
        with np.errstate(over="ignore", invalid="ignore"):
            return np.asarray(dataset[()]).astype(np.float32).reshape(shape)


@contextmanager
def opened(source: Path | bytes) -> Iterator[Hdf5]:
    """The HDF5 file at a path or in memory. Raises where it is none, or h5py is not installed."""
    h5py = _library()
    size = source.stat().st_size if isinstance(source, Path) else len(source)
    if isinstance(source, Path):
        with source.open("rb") as stream:
            head = stream.read(len(_MAGIC))
    else:
        head = source[: len(_MAGIC)]
    if head != _MAGIC:
        raise ModelbuildError("this is not an HDF5 file", advice="name a model saved by Keras")
    with _clean():
        file = h5py.File(source if isinstance(source, Path) else BytesIO(source), "r")
    with file:
        yield Hdf5(file, size)


def damaged(what: str) -> ModelbuildError:
    """The error for a file that contradicts itself."""
    return ModelbuildError(
        f"the Keras file is truncated or damaged: {what}",
        advice="compare its size with the original's and copy it again",
    )


def _library() -> Any:
    try:
        import h5py
    except ImportError as error:
        raise ModelbuildError(
            "reading Keras models needs the package h5py",
            why="it is an optional extra",
            advice="type `pip install 'modelbuild[keras]'`",
        ) from error
    return h5py


@contextmanager
def _clean() -> Iterator[None]:
    """h5py raises about every kind of exception for damaged files."""
    try:
        yield
    except ModelbuildError:
        raise
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, OverflowError, AttributeError) as error:
        lines = str(error).splitlines() or [type(error).__name__]
        raise damaged(lines[0]) from error
    except (SystemError, MemoryError, AssertionError, IndexError) as error:
        raise damaged(type(error).__name__) from error
