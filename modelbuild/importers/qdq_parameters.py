"""Scales and zero points as QuantizeLinear and its kin hold them, and the numbers that codes stand for."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from modelbuild.errors import ModelbuildError
from modelbuild.graph.kept_quantization import CODES, Kept
from modelbuild.graph.model import Array, Graph, Node
from modelbuild.graph.tensors import dtype_of

MOST_CHANNELS = 1 << 20
_FIRST_WITH_AXIS = 13
_MOST_STEPS = 1 << 62
_AGAIN = "quantize it again, in the QDQ form with constant scales, one a tensor, or give the float model"


def of_linear(graph: Graph, node: Node, codes: Array | None = None) -> Kept:
    """The quantization of a QuantizeLinear or DequantizeLinear; `codes` are its constant input.

    Raises naming the node where its scales are no constants, or in blocks.
    """
    if not 2 <= len(node.inputs) <= 3 or not all(node.inputs[:2]) or len(node.outputs) != 1:
        raise refused(node, f"it has {len(node.inputs)} inputs and {len(node.outputs)} outputs")
    if node.attributes.get("block_size"):
        raise refused(node, "its scales stand for blocks of values", "export with scales per channel")
    fallback = "uint8" if codes is None else str(codes.dtype)
    output = node.attributes.get("output_dtype")
    if node.op == "QuantizeLinear" and isinstance(output, int) and output:
        fallback = str(dtype_of(output, node.outputs[0]))
    zero = node.inputs[2] if len(node.inputs) > 2 else ""
    axis = node.attributes.get("axis", 1 if graph.opset >= _FIRST_WITH_AXIS else None)
    if not isinstance(axis, int | None):
        raise refused(node, "its axis is no number")
    return read(graph, node, node.inputs[1], zero, axis, fallback)


def read(graph: Graph, node: Node, scale: str, zero: str, axis: int | None, fallback: str) -> Kept:
    """The quantization that the constants `scale` and `zero` (may be absent) give; raises naming `node`."""
    scales = constant(graph, node, scale, "scale")
    zeros = constant(graph, node, zero, "zero point") if zero else np.zeros(scales.shape, fallback)
    dtype = str(zeros.dtype)
    if dtype not in CODES:
        raise refused(node, f"its codes are {dtype}")
    if scales.dtype.kind != "f":
        raise refused(node, f"its scale is {scales.dtype}")
    if scales.ndim > 1 or scales.size > MOST_CHANNELS or zeros.size not in (1, scales.size):
        raise refused(node, f"it has scales {list(scales.shape)} and zero points {list(zeros.shape)}")
    found = scales.astype(np.float32).reshape(-1)
    if not found.size or not (np.isfinite(found).all() and (found > 0).all()):
        raise refused(node, "a scale is not a positive number")
    shifts = np.broadcast_to(zeros.reshape(-1), found.shape)
    if found.size > 1 and (axis is None):
        raise refused(node, f"it has {found.size} scales and no axis")
    return Kept(
        dtype,
        tuple(float(value) for value in found),
        tuple(int(value) for value in shifts),
        axis if found.size > 1 else None,
    )


def constant(graph: Graph, node: Node, name: str, what: str) -> Array:
    """A constant input of `node`; raises where the model computes it."""
    if name not in graph.constants:
        raise refused(node, f"its {what} `{name}` is found while the model runs", "quantize statically")
    return graph.constants[name]


def on_axis(entry: Kept, shape: tuple[int, ...], node: Node) -> Kept:
    """`entry` with an axis of `shape` counted from 0; raises where the channels do not fit."""
    if entry.axis is None:
        return entry
    axis = entry.axis + len(shape) if entry.axis < 0 else entry.axis
    if not 0 <= axis < len(shape) or shape[axis] != len(entry.scale):
        raise refused(node, f"it has {len(entry.scale)} scales on axis {entry.axis} of {list(shape)}")
    return Kept(entry.dtype, entry.scale, entry.zero_point, axis)


def dequantized(codes: Array, entry: Kept) -> NDArray[np.float32]:
    """(codes - zero point) * scale, in float32 as onnxruntime computes it."""
    scale, zero = _columns(entry, codes.ndim)
    wide = np.int32 if codes.dtype.itemsize <= 2 else np.int64
    steps = (codes.astype(wide) - zero.astype(wide)).astype(np.float32)
    return np.asarray(steps * scale, np.float32)


def quantized(values: Array, entry: Kept) -> Array:
    """The codes of `values` in their own type."""
    codes: Array = codes_of(values, entry).astype(entry.dtype)
    return codes


def codes_of(values: Array, entry: Kept) -> NDArray[np.int64]:
    """The codes of `values`: divided in float32, rounded half to even, saturated."""
    return np.clip(steps_of(values, entry), *CODES[entry.dtype])


def steps_of(values: Array, entry: Kept) -> NDArray[np.int64]:
    """As `codes_of`, but saturated by 64-bit integers only."""
    scale, zero = _columns(entry, values.ndim)
    with np.errstate(all="ignore"):
        steps = np.rint(values.astype(np.float32) / scale).astype(np.float64) + zero
    return np.asarray(np.clip(np.nan_to_num(steps), -_MOST_STEPS, _MOST_STEPS), np.int64)


def _columns(entry: Kept, rank: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    shape = [1] * rank
    if entry.axis is not None:
        shape[entry.axis] = len(entry.scale)
    return (
        np.array(entry.scale, np.float32).reshape(shape),
        np.array(entry.zero_point, np.int64).reshape(shape),
    )


def refused(node: Node, why: str, advice: str = _AGAIN) -> ModelbuildError:
    """The error of a node that cannot be read."""
    return ModelbuildError(f"{node.op} `{node.name}` is not supported", why=why, advice=advice)
