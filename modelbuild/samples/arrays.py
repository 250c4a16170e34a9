"""`.npy` and `.npz` files -> tensors: headers are checked before data is read; nothing is unpickled."""

from __future__ import annotations

import math
import zipfile
from pathlib import Path
from typing import IO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from modelbuild.errors import ModelbuildError, did_you_mean
from modelbuild.lfs import is_pointer, pointer_error

Array = NDArray[np.generic]
Shape = tuple[int, ...]
_VERSION = (1, 0)  # the newer ones are for structured arrays, and let a header claim gigabytes
_LARGEST = 128 << 20  # bytes of what `read_all` reads: a damaged header may claim anything
_KINDS = {"f": "floating-point", "i": "integer", "u": "integer", "b": "boolean"}


def read_npy(path: Path, shape: Shape, dtype: np.dtype[np.generic]) -> Array:
    """The array of an .npy file as `shape` and `dtype`; see `_read` for what is accepted."""
    if is_pointer(path):
        raise pointer_error(path)
    try:
        with path.open("rb") as stream:
            return _read(stream, str(path), shape, dtype)
    except OSError as error:
        raise ModelbuildError("cannot read the sample", where=str(path), why=error.strerror or "") from error


def read_npz(path: Path, input_name: str, shape: Shape, dtype: np.dtype[np.generic]) -> Array:
    """The array called `input_name` of an .npz file as `shape` and `dtype`."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name.removesuffix(".npy") for name in archive.namelist()]
            if input_name not in names:
                raise _no_such_array(path, input_name, names)
            with archive.open(f"{input_name}.npy") as stream:
                return _read(stream, f"{path}[{input_name}]", shape, dtype)
    except ModelbuildError:
        raise
    except Exception as error:  # zipfile and the decompressors have no common exception type
        if is_pointer(path):
            raise pointer_error(path) from error
        raise ModelbuildError("not a readable .npz file", where=str(path), why=str(error)) from error


def holds_integers(path: Path, input_name: str) -> bool:
    """Whether the array for an input, in an .npy or .npz file, is of integers. False for what is no such
    file: to read it says what is wrong."""
    try:
        with path.open("rb") as file:
            if path.suffix.lower() == ".npy":
                return _header(file, str(path))[2].kind in "iu"
            with zipfile.ZipFile(file) as archive, archive.open(f"{input_name}.npy") as stream:
                return _header(stream, str(path))[2].kind in "iu"
    except Exception:  # zipfile and the decompressors have no common exception type
        return False


def read_all(path: Path) -> dict[str, Array]:
    """Every array of an .npz file by its name, or the one of an .npy file under "", as float32.

    For weights: whatever shapes they have, up to 128 MiB together. Raises for other files and kinds."""
    if is_pointer(path):
        raise pointer_error(path)
    try:
        with path.open("rb") as stream:
            if path.suffix.lower() == ".npy":
                return {"": _read_any(stream, str(path), _LARGEST)}
        found: dict[str, Array] = {}
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                left = _LARGEST - sum(array.nbytes for array in found.values())
                with archive.open(name) as stream:
                    found[name.removesuffix(".npy")] = _read_any(stream, f"{path}[{name}]", left)
        return found
    except ModelbuildError:
        raise
    except OSError as error:
        raise ModelbuildError(
            "cannot read the arrays", where=str(path), why=error.strerror or str(error)
        ) from error
    except Exception as error:  # as above
        raise ModelbuildError("not a readable .npy or .npz file", where=str(path), why=str(error)) from error


def _read_any(stream: IO[bytes], where: str, most: int) -> Array:
    shape, fortran, dtype = _header(stream, where)
    if any(size < 0 for size in shape) or math.prod(shape) * max(dtype.itemsize, 4) > most:
        raise ModelbuildError(f"the array of shape {list(shape)} is too large", where=where)
    if dtype.kind not in "fiu":
        raise ModelbuildError(f"the array holds {dtype.name}, not numbers", where=where)
    return _convert(_data(stream, where, shape, dtype, fortran), np.dtype(np.float32), where)


def _read(stream: IO[bytes], where: str, shape: Shape, dtype: np.dtype[np.generic]) -> Array:
    """The array must have `shape`, or `shape` without a leading batch of 1, and a dtype of the same kind as
    `dtype` whose values fit; it must be finite."""
    stored_shape, fortran, stored = _header(stream, where)
    if stored_shape != shape and not (shape[:1] == (1,) and stored_shape == shape[1:]):
        raise ModelbuildError(
            f"the array has shape {list(stored_shape)}",
            where=where,
            why=f"the input has shape {list(shape)}",
            advice=_how_to_save(stored_shape, shape),
        )
    if _KINDS.get(stored.kind) is None or _KINDS.get(stored.kind) != _KINDS.get(dtype.kind):
        raise ModelbuildError(
            f"the array holds {stored.name}",
            where=where,
            why=f"the input holds {dtype.name}; an array is fed as it is, without preprocessing",
            advice=f"save it as {dtype.name}, already preprocessed",
        )
    values = _data(stream, where, stored_shape, stored, fortran)
    return _convert(values.reshape(shape), dtype, where)


def _how_to_save(stored: Shape, shape: Shape) -> str:
    without = f" or {list(shape[1:])}" if shape[:1] == (1,) else ""
    for there, wanted, axis in ((-1, -3, "last"), (-3, -1, "first")):
        for least in (shape, shape[1:]) if shape[:1] == (1,) else (shape,):
            if len(least) == len(stored) >= 3 and _moved(stored, there, wanted) == least:
                return f"its channels seem to come {axis}: save numpy.moveaxis(array, {there}, {wanted})"
    return f"save it as {list(shape)}{without}"


def _moved(shape: Shape, source: int, destination: int) -> Shape:
    """As numpy.moveaxis moves an axis."""
    sizes = list(shape)
    size = sizes.pop(source)
    sizes.insert(len(shape) + destination, size)
    return tuple(sizes)


def _data(stream: IO[bytes], where: str, shape: Shape, dtype: np.dtype[np.generic], fortran: bool) -> Array:
    size = math.prod(shape) * dtype.itemsize
    data = stream.read(size)
    if len(data) != size:
        raise ModelbuildError(
            "the array is truncated", where=where, why=f"{len(data)} of {size} bytes of data are there"
        )
    values = np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")
    return np.ascontiguousarray(values).reshape(shape)


def _header(stream: IO[bytes], where: str) -> tuple[Shape, bool, np.dtype[np.generic]]:
    try:
        version = npy.read_magic(stream)
        if version != _VERSION:
            raise ValueError(f"version {version[0]}.{version[1]} of the .npy format")
        shape, fortran, dtype = npy.read_array_header_1_0(stream)
    except Exception as error:  # the header is a Python literal: its damage shows in many exception types
        raise ModelbuildError(
            "not a readable .npy array",
            where=where,
            why=_first_line(error),
            advice="write it with numpy.save",
        ) from error
    if dtype.hasobject:
        raise ModelbuildError(
            "the array holds Python objects",
            where=where,
            why="reading them would run code from the file",
            advice="save a plain array of numbers",
        )
    return shape, fortran, dtype


def _convert(values: Array, dtype: np.dtype[np.generic], where: str) -> Array:
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise ModelbuildError("the array holds NaN or infinity", where=where)
    with np.errstate(over="ignore"):
        converted = values.astype(dtype)
    fits = np.isfinite(converted).all() if dtype.kind == "f" else np.array_equal(converted, values)
    if not fits:
        raise ModelbuildError(
            f"the array holds values beyond {dtype.name}",
            where=where,
            why=f"they go from {values.min():g} to {values.max():g}",
            advice=f"save what fits into {dtype.name}",
        )
    return converted


def _no_such_array(path: Path, input_name: str, names: list[str]) -> ModelbuildError:
    return ModelbuildError(
        f"no array called {input_name}",
        where=str(path),
        why=f"it holds {', '.join(sorted(names)) or 'nothing'}",
        advice=f"{did_you_mean(input_name, names)} keys are the model's input names".lstrip(),
    )


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "")
