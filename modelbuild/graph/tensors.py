"""Tensors of the ONNX protobuf <-> numpy arrays, with every size checked before memory is taken."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from onnx import SparseTensorProto, TensorProto, helper, numpy_helper

from modelbuild.errors import ModelbuildError
from modelbuild.graph.model import Array

MAX_TENSOR_BYTES = 2**31  # a feature map or constant above this is a mistake or a trap

_MAX_DENSE_BYTES = 2**28  # of a sparse tensor, of which the file need hold next to nothing

_SUPPORTED = (
    TensorProto.FLOAT, TensorProto.UINT8, TensorProto.INT8, TensorProto.UINT16, TensorProto.INT16,
    TensorProto.INT32, TensorProto.INT64, TensorProto.BOOL, TensorProto.FLOAT16, TensorProto.DOUBLE,
    TensorProto.UINT32, TensorProto.UINT64, TensorProto.BFLOAT16,
)  # fmt: skip
_DTYPES = {int(code): np.dtype(helper.tensor_dtype_to_np_dtype(code)) for code in _SUPPORTED}
_CODES = {dtype: code for code, dtype in _DTYPES.items()}


def dtype_of(element_type: int, name: str) -> np.dtype[np.generic]:
    """The numpy type of an ONNX element type; strings, complex and sub-byte types are refused by name."""
    if element_type in _DTYPES:
        return _DTYPES[element_type]
    known = {value: key for key, value in TensorProto.DataType.items()}
    raise ModelbuildError(
        f"the tensor `{name}` holds {known.get(element_type, f'type {element_type}').lower()}",
        why="only floating point, integer and boolean tensors of 8 bits or more are supported",
    )


def element_type_of(dtype: np.dtype[np.generic]) -> int:
    """The ONNX element type of a numpy type."""
    return int(_CODES[np.dtype(dtype)])


def array_of(tensor: TensorProto, name: str = "") -> Array:
    """The values of `tensor`, whose data must be in the protobuf itself."""
    label = name or tensor.name
    dtype = dtype_of(tensor.data_type, label)
    shape = tuple(int(dim) for dim in tensor.dims)
    if any(dim < 0 for dim in shape) or math.prod(shape) * dtype.itemsize > MAX_TENSOR_BYTES:
        raise ModelbuildError(f"the tensor `{label}` has the impossible shape {list(shape)}")
    if tensor.data_location == TensorProto.EXTERNAL:
        raise ModelbuildError(f"the data of the tensor `{label}` lies outside the model, where it may not")
    try:
        array = numpy_helper.to_array(tensor)
    except (ValueError, TypeError, OverflowError) as error:
        raise ModelbuildError(f"the tensor `{label}` of shape {list(shape)} is damaged: {error}") from error
    if array.shape != shape or array.dtype != dtype:
        raise ModelbuildError(f"the tensor `{label}` of shape {list(shape)} holds {array.size} values")
    array.flags.writeable = False
    return array


def dense_of(sparse: SparseTensorProto, name: str) -> Array:
    """The values of a sparse tensor, zeros included. Its indices count all values, or are a row each."""
    values, indices = array_of(sparse.values, name), array_of(sparse.indices, name)
    shape = tuple(int(dim) for dim in sparse.dims)
    count = math.prod(shape)
    if any(dim < 0 for dim in shape) or count * values.dtype.itemsize > _MAX_DENSE_BYTES:
        raise ModelbuildError(
            f"the sparse tensor `{name}` has the shape {list(shape)}",
            why=f"at most {_MAX_DENSE_BYTES >> 20} MiB are made of one",
            advice="export the model with dense weights",
        )
    rows: Any = indices.reshape(-1, 1) if indices.ndim == 1 else indices
    sizes = (count,) if indices.ndim == 1 else shape
    fits = indices.dtype == np.int64 and rows.ndim == 2 and rows.shape == (values.size, len(sizes))
    if not fits or (rows < 0).any() or (rows >= np.array(sizes)).any():
        raise ModelbuildError(f"the indices of the sparse tensor `{name}` do not fit its shape {list(shape)}")
    dense = np.zeros(sizes, values.dtype)
    dense[tuple(rows.T)] = values.reshape(-1)
    dense.flags.writeable = False
    return dense.reshape(shape)
