"""Keras's layers by their definition, in numpy, channels last; and our graph of a file with onnxruntime."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from modelbuild import importers
from modelbuild.graph import onnx_io
from modelbuild.graph.model import Graph
from modelbuild.importers.source import source_of

Array = NDArray[np.float32]


def run(graph: Graph, *feeds: Array) -> dict[str, Array]:
    """The outputs of `graph`, in the source's layout as `feeds` are."""
    layouts = source_of(graph).get("layouts", {})
    given = {
        name: np.moveaxis(value, -1, 1) if name in layouts else value
        for name, value in zip(graph.inputs, feeds, strict=True)
    }
    session = onnxruntime.InferenceSession(onnx_io.to_bytes(graph), providers=["CPUExecutionProvider"])
    found = dict(zip(graph.outputs, session.run(None, given), strict=True))
    return {name: np.moveaxis(value, 1, -1) if name in layouts else value for name, value in found.items()}


def imported(path: Path, *feeds: Array, **arguments: Any) -> Array:
    """The only output of the model in `path`."""
    (value,) = run(importers.load(path, **arguments), *feeds).values()
    return value


def difference(found: Array, wanted: NDArray[Any]) -> float:
    """The largest difference, relative to the range of `wanted`; infinite between shapes."""
    if found.shape != wanted.shape:
        return float("inf")
    return float(np.abs(found - wanted).max()) / max(float(np.ptp(wanted)), 1e-3)


def agree(found: Array, wanted: NDArray[Any], bound: float = 1e-5) -> None:
    """Asserts one shape, and a difference below `bound` of the range."""
    assert difference(found, wanted) <= bound


def same_pads(size: int, reach: int, stride: int) -> tuple[int, int]:
    """TensorFlow's SAME: as many windows as strides fit, what is odd goes behind."""
    total = max((-(-size // stride) - 1) * stride + reach - size, 0)
    return total // 2, total - total // 2


def windows(
    x: Array, kernel: Sequence[int], strides: Sequence[int], same: bool, fill: float, dilation: int = 1
) -> Array:
    """[N, H', W', kernel_h, kernel_w, C] of [N, H, W, C]."""
    reach = [(k - 1) * dilation + 1 for k in kernel]
    pads = [
        same_pads(n, r, s) if same else (0, 0) for n, r, s in zip(x.shape[1:3], reach, strides, strict=True)
    ]
    padded = np.pad(x, [(0, 0), *pads, (0, 0)], constant_values=fill)
    view = np.lib.stride_tricks.sliding_window_view(padded, reach, (1, 2))  # N H W C kh kw
    view = view[:, :: strides[0], :: strides[1], :, ::dilation, ::dilation]
    return np.moveaxis(view, 3, -1)


def conv(x: Array, kernel: Array, strides: Sequence[int], same: bool, dilation: int = 1) -> Array:
    """Conv2D without a bias."""
    return np.einsum("nhwklc,klcf->nhwf", windows(x, kernel.shape[:2], strides, same, 0.0, dilation), kernel)


def depthwise(x: Array, kernel: Array, strides: Sequence[int], same: bool) -> Array:
    """DepthwiseConv2D without a bias."""
    found = np.einsum("nhwklc,klcm->nhwcm", windows(x, kernel.shape[:2], strides, same, 0.0), kernel)
    return found.reshape(*found.shape[:3], -1)


def conv_transpose(x: Array, kernel: Array, stride: int, same: bool) -> Array:
    """Conv2DTranspose without a bias: each number spreads the kernel; SAME cuts to size * stride."""
    count, height, width, _ = x.shape
    sizes = [(n - 1) * stride + k for n, k in zip((height, width), kernel.shape[:2], strict=True)]
    least = [max(n, m * stride) for n, m in zip(sizes, (height, width), strict=True)]
    full = np.zeros((count, *least, kernel.shape[2]), np.float32)
    for row in range(0, height * stride, stride):
        for column in range(0, width * stride, stride):
            spread = np.einsum("nc,klfc->nklf", x[:, row // stride, column // stride], kernel)
            full[:, row : row + kernel.shape[0], column : column + kernel.shape[1]] += spread
    if not same:
        return full
    cuts = [max(n - m * stride, 0) // 2 for n, m in zip(sizes, (height, width), strict=True)]
    return full[:, cuts[0] : cuts[0] + height * stride, cuts[1] : cuts[1] + width * stride]


def pool(x: Array, size: Sequence[int], strides: Sequence[int], same: bool, average: bool) -> Array:
    """MaxPooling2D, or AveragePooling2D, which counts what is inside the picture alone."""
    if not average:
        return windows(x, size, strides, same, -np.inf).max((3, 4))
    with np.errstate(all="ignore"):
        return np.nanmean(windows(x, size, strides, same, np.nan), (3, 4))


def gelu(x: Array) -> Array:
    """x * Phi(x)."""
    from math import erf

    return x * 0.5 * (1 + np.vectorize(erf)(x / np.sqrt(2)))


def softmax(x: Array, axis: int = -1) -> Array:
    """exp(x) / sum of exp(x)."""
    powers = np.exp(x - x.max(axis, keepdims=True))
    return powers / powers.sum(axis, keepdims=True)


ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "elu": lambda x: np.where(x > 0, x, np.expm1(x)),
    "exponential": np.exp,
    "gelu": gelu,
    "leaky_relu": lambda x: np.where(x > 0, x, 0.2 * x),
    "linear": lambda x: x,
    "log_softmax": lambda x: np.log(softmax(x)),
    "mish": lambda x: x * np.tanh(np.log1p(np.exp(x))),
    "relu": lambda x: np.maximum(x, 0),
    "relu6": lambda x: x.clip(0, 6),
    "selu": lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(x)),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "silu": lambda x: x / (1 + np.exp(-x)),
    "softmax": softmax,
    "softplus": lambda x: np.log1p(np.exp(x)),
    "softsign": lambda x: x / (1 + np.abs(x)),
    "swish": lambda x: x / (1 + np.exp(-x)),
    "tanh": np.tanh,
}
