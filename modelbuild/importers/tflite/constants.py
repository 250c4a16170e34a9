"""The values of a TFLite file's constants, dequantized, and what the file says of each quantized tensor."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from modelbuild.errors import ModelbuildError
from modelbuild.formats import tflite_schema as schema
from modelbuild.graph.kept_quantization import CODES, Kept
from modelbuild.graph.model import Array
from modelbuild.importers.tflite.model import Model, Quantization, Tensor

_FACTOR, _SLACK = 16, 2**26  # of the file's size; int4 becomes eight times larger


@dataclass
class Constants:
    """Reads constants of one file. What they unfold to is bounded by the file's size, since many tensors may
    share one buffer."""

    model: Model

    def __post_init__(self) -> None:
        self._left = _FACTOR * len(self.model.data) + _SLACK
        self._values: dict[object, Array] = {}  # equal constants are one, as in the file
        self.converted = 0  # how many constants in half or double precision were read

    def stored(self, tensor: Tensor) -> Array:
        """The numbers as they are stored: codes, where the tensor is quantized."""
        if tensor.unsupported or tensor.span is None or tensor.type not in schema.STORED:
            why = tensor.unsupported or f"its type is {tensor.type}"
            advice = "convert the model again without this"
            raise ModelbuildError(f"the tensor `{tensor.name}` cannot be read", why=why, advice=advice)
        start, size = tensor.span
        count, dtype = _elements(tensor), schema.STORED[tensor.type]
        expected = (count + 1) // 2 if tensor.type == "int4" else count * dtype.itemsize
        if size != expected:
            raise ModelbuildError(
                f"the TFLite file is damaged: the tensor `{tensor.name}` of the shape {list(tensor.shape)} "
                f"takes {expected} bytes, and {size} are there"
            )
        self._spend(count * max(dtype.itemsize, 4), tensor)
        found = np.frombuffer(self.model.data, dtype, expected // dtype.itemsize, start)
        return _unpacked(tensor.type, found, count).reshape(tensor.shape)

    def value(self, tensor: Tensor) -> Array:
        """The numbers that they stand for: float32 where the tensor is quantized or a float of any size."""
        self.converted += tensor.type in schema.OTHER_FLOATS
        key = (tensor.span, tensor.type, tensor.shape, kept(tensor))
        if key not in self._values:
            self._values[key] = self._value(tensor)
        return self._values[key]

    def _value(self, tensor: Tensor) -> Array:
        found = self.stored(tensor)
        if is_quantized(tensor):
            return dequantized(found, tensor)
        if tensor.type in schema.OTHER_FLOATS:
            with np.errstate(over="ignore"):
                value = found.astype(np.float32)
            if np.isinf(value).sum() > np.isinf(found).sum():
                raise ModelbuildError(f"the tensor `{tensor.name}` holds numbers too large for float32")
            return value
        return found

    def _spend(self, size: int, tensor: Tensor) -> None:
        self._left -= size
        if self._left < 0:
            raise ModelbuildError(
                f"the TFLite file is damaged: up to the tensor `{tensor.name}` its constants overlap so that "
                f"they would take more than {_FACTOR} times its size"
            )


def is_quantized(tensor: Tensor) -> bool:
    """Whether the tensor's integers stand for real numbers."""
    return tensor.quantization is not None and tensor.type in schema.QUANTIZED


def kept(tensor: Tensor) -> Kept | None:
    """The quantization of `tensor` in the source's axes; None if it has none. Raises if it cannot be.

    A constant's scale of 0 for one channel of several says that the channel is dead: all its numbers are 0,
    whatever the codes. Its entry has the largest scale of the others, with which 0 is 0 as well.
    """
    found = tensor.quantization
    if found is None or tensor.type not in schema.QUANTIZED:
        return None
    scales, points = found.scales, found.zero_points
    if tensor.span is not None and len(scales) > 1:
        scales = np.where(scales == 0, scales.max() or np.float32(1), scales)
    low, high = CODES[tensor.type]
    wrong = ""
    if not np.all(np.isfinite(scales) & (scales > 0)):
        wrong = "a scale that is not a positive number"
    elif points.min() < low or points.max() > high:
        wrong = f"a zero point that is no {tensor.type}"
    elif len(scales) > 1 and not _fits(found, tensor):
        wrong = f"{len(scales)} scales along axis {found.axis} of {list(tensor.shape)}"
    if wrong:
        raise ModelbuildError(f"the TFLite file is damaged: the tensor `{tensor.name}` has {wrong}")
    axis = found.axis if len(scales) > 1 else None
    return Kept(tensor.type, tuple(float(s) for s in scales), tuple(int(z) for z in points), axis)


def dequantized(codes: Array, tensor: Tensor) -> Array:
    """(code - zero_point) * scale, rounded to float32 once."""
    entry, found = kept(tensor), tensor.quantization
    assert entry is not None and found is not None
    shape = [1] * codes.ndim
    if entry.axis is not None:
        shape[entry.axis] = -1
    scale = found.scales.astype(np.float64).reshape(shape if entry.axis is not None else ())
    point = found.zero_points.reshape(scale.shape)
    # Weights are large: what fits is computed in place, in float64 all the same, and rounded once.
    values = np.empty(codes.shape, np.float32 if codes.dtype.itemsize <= 2 else np.float64)
    np.subtract(codes, point, out=values, dtype=np.float64, casting="unsafe")
    np.multiply(values, scale, out=values, dtype=np.float64, casting="unsafe")
    values += 0.0  # no -0.0
    return values.astype(np.float32, copy=False)


def bias_of(bias: Tensor, data: Tensor, weights: Tensor) -> Tensor:
    """`bias` with the scale by which TFLite multiplies it: the product of those of data and weights, whatever
    the file says of the bias itself (kernel_util.cc). Where that is the same but for rounding, it stays."""
    a, b, own = data.quantization, weights.quantization, bias.quantization
    if bias.type not in ("int32", "int64") or a is None or b is None:
        return bias
    scales = (a.scales[:1] * b.scales).astype(np.float32)
    if own is not None and len(own.scales) == len(scales) and np.allclose(own.scales, scales, 1e-5, 0):
        return bias
    return replace(bias, quantization=Quantization(scales, np.zeros(len(scales), np.int64), 0))


def _fits(found: Quantization, tensor: Tensor) -> bool:
    return 0 <= found.axis < len(tensor.shape) and tensor.shape[found.axis] == len(found.scales)


def _elements(tensor: Tensor) -> int:
    if any(size < 0 for size in tensor.shape):
        raise ModelbuildError(f"the constant `{tensor.name}` has the shape {list(tensor.shape)}")
    return math.prod(tensor.shape)


def _unpacked(kind: str, found: Array, count: int) -> Array:
    if kind == "int4":
        both = np.stack([found.astype(np.int8) << 4 >> 4, found.astype(np.int8) >> 4], axis=-1)
        return both.reshape(-1)[:count]
    if kind == "bfloat16":
        return (found.astype(np.uint32) << 16).view(np.float32)
    if kind == "bool":
        return np.not_equal(found, 0)
    return found.astype(found.dtype.newbyteorder("="), copy=False)
