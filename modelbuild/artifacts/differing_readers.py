"""The weights of any artifact: numbers where the file has some, else bytes that are equal or not."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from modelbuild import importers, input_file
from modelbuild.artifacts.differing_blobs import BLOBS, of_mpk
from modelbuild.artifacts.differing_weights import Weight
from modelbuild.artifacts.inspectors.onnx_operators import text
from modelbuild.artifacts.kinds import Kind
from modelbuild.errors import ModelbuildError
from modelbuild.formats import npy, sima, zip_archive
from modelbuild.formats.tflite_schema import IDENTIFIER, STORED
from modelbuild.graph.fresh_names import fresh
from modelbuild.graph.tensors import array_of
from modelbuild.importers import external_data, sniff
from modelbuild.importers.onnx import parse
from modelbuild.importers.tflite import model as tflite
from modelbuild.quantize import fixed_onnx

Array = NDArray[Any]
_LARGEST_NPY = 1 << 31

Weights = dict[str, Weight]


def weights(path: Path, kind: Kind, beside: Path | None = None) -> Weights:
    """Name -> weight, in the file's order; `beside` is a file of weights of its own (Caffe, Keras)."""
    if kind in _READERS:
        return _READERS[kind](path)
    if kind is Kind.MPK:
        with input_file.sliced(path) as data:
            return of_mpk(data)
    if kind in BLOBS:
        return BLOBS[kind](input_file.read(path))
    if kind in _IMPORTED:
        constants = importers.load(path, None, (), beside).constants
        return {name: _array(values) for name, values in constants.items()}
    return {}


def _array(values: Array) -> Weight:
    return Weight(lambda: values)


def _of_onnx(path: Path) -> Weights:
    """Initializers, those in other files included, and the values of Constant nodes."""
    model = parse(path)
    beside, missing = _external(model, path)
    scales = _scales(model.graph)
    found: Weights = {}
    taken = set[str]()
    for tensor in model.graph.initializer:
        name, scale = fresh(text(tensor.name), taken), scales.get(tensor.name)
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            values = beside.get(tensor.name)
            found[name] = Weight(bytes, why=missing) if values is None else Weight(lambda v=values: v, scale)  # type: ignore[misc]
        else:
            found[name] = Weight(lambda tensor=tensor: array_of(tensor), scale)  # type: ignore[misc]
    for node in model.graph.node:
        if node.op_type == "Constant" and node.domain in ("", "ai.onnx") and node.output:
            for item in node.attribute:
                if item.name == "value":
                    name = fresh(text(node.output[0]), taken)
                    found[name] = Weight(lambda item=item: array_of(item.t))  # type: ignore[misc]
    return found


def _scales(graph: onnx.GraphProto) -> dict[str, tuple[Array, Array]]:
    """Scales and zero points of the initializers that a DequantizeLinear reads, shaped as the codes need."""
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    found: dict[str, tuple[Array, Array]] = {}
    for node in graph.node:
        inputs = [tensors.get(name) for name in node.input]
        if node.op_type != "DequantizeLinear" or len(inputs) < 2 or inputs[0] is None or inputs[1] is None:
            continue
        axis = next((item.i for item in node.attribute if item.name == "axis"), 1)
        shape = [1] * len(inputs[0].dims)
        try:
            scale = array_of(inputs[1]).astype(np.float64)
            zero = np.float64(0) if len(inputs) < 3 or inputs[2] is None else array_of(inputs[2])
            if scale.size > 1:
                shape[axis] = scale.size
            found[node.input[0]] = (
                scale.reshape(shape),
                np.broadcast_to(zero, scale.shape).astype(np.float64).reshape(shape),
            )
        except (ModelbuildError, ValueError, IndexError):  # in blocks, or damaged: codes are compared
            continue
    return found


def _external(model: onnx.ModelProto, path: Path) -> tuple[Mapping[str, Array], str]:
    """The values in files beside the model, or why they cannot be read."""
    try:
        return external_data.read(model, path), ""
    except ModelbuildError as error:
        return {}, error.problems[0].what
    except OSError as error:
        return {}, error.strerror or str(error)


def _of_tflite(path: Path) -> Weights:
    """The constants of the main subgraph, with the scales that make codes real numbers."""
    model = tflite.parse(sniff.read(path, own=(IDENTIFIER,)))
    return {
        tensor.name: Weight(
            lambda tensor=tensor: _stored(model.data, tensor),  # type: ignore[misc]
            _scale(tensor),
            tensor.unsupported,
        )
        for tensor in model.tensors
        if tensor.span is not None
    }


def _stored(data: bytes, tensor: tflite.Tensor) -> Array | bytes:
    """The numbers of a tensor; its bytes where they are no numbers, or not as many as its shape wants."""
    start, size = tensor.span or (0, 0)
    piece = data[start : start + size]
    dtype = STORED.get(tensor.type)
    count = math.prod(tensor.shape) if min(tensor.shape, default=0) >= 0 else -1
    if dtype is None or tensor.type in ("bfloat16", "int4") or size != count * dtype.itemsize:
        return piece
    return np.frombuffer(piece, dtype).reshape(tensor.shape)


def _scale(tensor: tflite.Tensor) -> tuple[Array, Array] | None:
    found = tensor.quantization
    if found is None:
        return None
    shape = [1] * len(tensor.shape)
    if found.scales.size > 1:
        if not 0 <= found.axis < len(shape) or tensor.shape[found.axis] != found.scales.size:
            return None
        shape[found.axis] = found.scales.size
    with np.errstate(all="ignore"):  # a damaged scale
        scales = found.scales.astype(np.float64).reshape(shape)
    return scales, found.zero_points.astype(np.float64).reshape(shape)


def _of_fixed(path: Path) -> Weights:
    return {name: _array(values) for name, values in fixed_onnx.read(path).constants.items()}


def _of_sima(path: Path) -> Weights:
    """The arrays of the .npz members. What the survey could not read is in its checks."""
    return {
        f"{member.path}/{name}": weight
        for member, inner in sima.archives(input_file.read(path))
        for name, weight in _in_zip(inner).items()
    }


def _of_zip(path: Path) -> Weights:
    return _in_zip(zip_archive.survey(input_file.read(path)))


def _in_zip(archive: zip_archive.Zip) -> Weights:
    return {
        entry.path.removesuffix(".npy"): Weight(lambda entry=entry: _npy(archive.content(entry)))  # type: ignore[misc]
        for entry in archive.members
        if entry.path.endswith(".npy") and entry.size < _LARGEST_NPY
    }


def _npy(data: bytes) -> Array | bytes:
    """The numbers of a .npy; its bytes where it holds anything else, or is damaged. Read by our own reader:
    numpy's takes the room that a header claims."""
    try:
        header = npy.read(data, "array")
    except ModelbuildError:
        return data
    name, _, order = header.dtype.partition(" ")
    if _NUMBER.fullmatch(name) is None or header.size is None or header.offset + header.size != len(data):
        return data
    dtype = np.dtype(name).newbyteorder(">" if order else "<")
    values = np.frombuffer(data, dtype, offset=header.offset)
    return values.reshape(header.shape, order="F" if header.fortran_order else "C")


_NUMBER = re.compile(r"u?int(8|16|32|64)|float(16|32|64)|bool")
_IMPORTED = (Kind.KERAS, Kind.HDF5, Kind.PROTOTXT)
_READERS: Mapping[Kind, Callable[[Path], Weights]] = {
    Kind.ONNX: _of_onnx,
    Kind.FIXED_ONNX: _of_fixed,
    Kind.TFLITE: _of_tflite,
    Kind.SIMA: _of_sima,
    Kind.ZIP: _of_zip,
}
