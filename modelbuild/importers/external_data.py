"""Weights that an ONNX file keeps in files beside it."""

from __future__ import annotations

import math
import os
from pathlib import Path, PurePosixPath

import numpy as np
from onnx import ModelProto, TensorProto

from modelbuild import input_file, lfs
from modelbuild.errors import ModelbuildError
from modelbuild.graph import large
from modelbuild.graph.model import Array
from modelbuild.graph.tensors import MAX_TENSOR_BYTES, dtype_of


def files(model: ModelProto, path: Path) -> list[Path]:
    """The files that `model`, which lies at `path`, names; each once, in order of mention."""
    return list(dict.fromkeys(_file(tensor, path) for tensor in _external(model)))


def read(model: ModelProto, path: Path) -> dict[str, Array]:
    """Initializer name -> values, for those kept outside of the file.

    More than one protobuf holds is mapped into memory instead of read: it is needed once, and not at once.
    """
    tensors = _external(model)
    mapped = sum(_size(tensor) for tensor in tensors) > large.MAX_BYTES
    return {tensor.name: _values(tensor, path, mapped) for tensor in tensors}


def _external(model: ModelProto) -> list[TensorProto]:
    return [t for t in model.graph.initializer if t.data_location == TensorProto.EXTERNAL]


def _fields(tensor: TensorProto) -> dict[str, str]:
    return {entry.key: entry.value for entry in tensor.external_data}


def _file(tensor: TensorProto, path: Path) -> Path:
    location = _fields(tensor).get("location", "")
    relative = PurePosixPath(location)
    if (
        not location
        or "\0" in location
        or "\\" in location
        or relative.is_absolute()
        or ".." in relative.parts
    ):
        raise ModelbuildError(
            f"the weights `{tensor.name}` are said to lie in `{location}`",
            why="external data must lie beside the model or below it",
        )
    found = path.parent / relative
    # A model may itself be a link: its weights may then lie beside what it leads to.
    homes = (path.parent.resolve(), path.resolve().parent)
    if not any(found.resolve().is_relative_to(home) for home in homes):
        raise ModelbuildError(
            f"the weights `{tensor.name}` lie in `{location}`, a link that leads out of the model's folder"
        )
    return found


def _size(tensor: TensorProto) -> int:
    return math.prod(int(dim) for dim in tensor.dims) * dtype_of(tensor.data_type, tensor.name).itemsize


def _values(tensor: TensorProto, path: Path, mapped: bool) -> Array:
    file, fields = _file(tensor, path), _fields(tensor)
    dtype = dtype_of(tensor.data_type, tensor.name)
    shape = tuple(int(dim) for dim in tensor.dims)
    size = _size(tensor)
    try:
        offset, length = int(fields.get("offset", "0")), int(fields.get("length", str(size)))
    except ValueError as error:
        raise ModelbuildError(f"the place of the weights `{tensor.name}` is not a number") from error
    if offset < 0 or length != size or min(shape, default=0) < 0 or size > MAX_TENSOR_BYTES:
        raise ModelbuildError(
            f"the weights `{tensor.name}` of shape {list(shape)} cannot fill {length} bytes"
        )
    if not file.exists():
        raise ModelbuildError(
            f"the model's weights lie in `{fields['location']}`, which is missing",
            advice=f"put it beside the model: {file}",
        )
    try:
        with input_file.opened(file) as stream:
            there = os.fstat(stream.fileno()).st_size
            found = min(length, max(there - offset, 0))
            if mapped and found == length and size:
                return np.asarray(np.memmap(stream, dtype.newbyteorder("<"), "r", offset, shape))
            stream.seek(min(offset, there))
            data = stream.read(found)
    except OSError as error:
        raise ModelbuildError(f"`{file}` cannot be read", why=error.strerror or str(error)) from error
    if len(data) != length:
        pointer = data.startswith(lfs.POINTER_START)
        raise ModelbuildError(
            f"`{file}` ends before the weights `{tensor.name}` do",
            why=f"it is {lfs.WHAT}" if pointer else "the file is truncated",
            advice=lfs.ADVICE if pointer else "copy it again",
        )
    return np.frombuffer(data, dtype.newbyteorder("<")).astype(dtype, copy=False).reshape(shape)
