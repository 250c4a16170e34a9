"""The quantization that a source file brings along: scales and zero points of tensors, kept as metadata.

The graph is float. An input or output that holds codes in the file may hold them here: a DequantizeLinear
reads the input, a QuantizeLinear makes the output (`graph.quantized_border`), and no other such node is left.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelbuild.errors import ModelbuildError
from modelbuild.graph.model import Array, Graph

KEY = "modelbuild.quantization"
# Those of fewer than 8 bits lie in 8 in most files.
CODES: Mapping[str, tuple[int, int]] = {
    **{f"int{bits}": (-(1 << bits - 1), (1 << bits - 1) - 1) for bits in (2, 3, 4, 5, 6, 7, 8, 16, 32, 64)},
    **{f"uint{bits}": (0, (1 << bits) - 1) for bits in (1, 2, 3, 4, 5, 6, 7, 8, 16)},
}


@dataclass(frozen=True)
class Kept:
    """How a file quantizes a tensor: value = scale * (code - zero_point)."""

    dtype: str  # one of `CODES`; int32 and int64 are biases
    scale: tuple[float, ...]  # one, or one a channel
    zero_point: tuple[int, ...]  # as many as scales
    axis: int | None = None  # of the channels, in the graph's own layout

    def range(self) -> tuple[float, float]:
        """The least and the greatest value that the codes of a per-tensor entry stand for."""
        low, high = CODES[self.dtype]
        scale, zero = self.scale[0], self.zero_point[0]
        return scale * (low - zero), scale * (high - zero)

    def holds(self, other: Kept) -> bool:
        """Whether the values that the codes of `other` stand for are among those of this one."""
        if self.axis is not None or other.axis is not None or self.scale != other.scale:
            return self == other
        low, high = (code - self.zero_point[0] for code in CODES[self.dtype])
        its_low, its_high = (code - other.zero_point[0] for code in CODES[other.dtype])
        return low <= its_low and its_high <= high


def is_kept(graph: Graph) -> bool:
    """Whether a source's quantization is kept beside `graph`."""
    return bool(graph.quantization) or KEY in graph.metadata


def keep(graph: Graph, entries: Mapping[str, Kept]) -> None:
    """Adds `entries` (tensor name -> quantization) to those of `graph`, in place of older ones."""
    if entries:
        _read(graph).update(entries)


def replace(graph: Graph, entries: Mapping[str, Kept]) -> None:
    """Makes `entries` those of `graph`, in place of all others."""
    graph.metadata.pop(KEY, None)
    graph.quantization = dict(entries)


def kept(graph: Graph) -> dict[str, Kept]:
    """The entries of the tensors that `graph` has; those of tensors that are gone are left out.

    Raises where the metadata is not what `metadata` writes (a file that somebody else wrote).
    """
    entries = _read(graph)
    if not entries:
        return {}
    made = {name for node in graph.nodes for name in node.outputs}
    there = {*graph.inputs, *graph.constants, *made}
    return {name: item for name, item in entries.items() if name in there}


def entry(graph: Graph, tensor: str) -> Kept | None:
    """The entry of `tensor`, if it has one."""
    return _read(graph).get(tensor) if is_kept(graph) else None


def renamed(graph: Graph, old: str, new: str) -> None:
    """Moves the entry of `old` to the tensor's new name; what `new` had before gives way."""
    found = entry(graph, old)
    if found is not None:
        dropped(graph, old)
        keep(graph, {new: found})


def derived(graph: Graph, old: str, new: str, change: Callable[[Array], Array]) -> None:
    """Gives the constant `new`, which is `change` of the constant `old`, the entry of `old`.

    `change` only moves, repeats and leaves out values, or puts zeros between them; it is asked where each
    channel went. No entry where channels of different scales share an index of every axis of `new`.
    """
    found = entry(graph, old)
    if found is None or found.axis is None:
        keep(graph, {} if found is None else {new: found})
        return
    shape = graph.constants[old].shape
    numbers = np.arange(1, len(found.scale) + 1, dtype=np.int32)  # 0 is left to zeros that `change` puts in
    spread = numbers.reshape([-1 if axis == found.axis else 1 for axis in range(len(shape))])
    places = _places(change(np.broadcast_to(spread, shape)))
    if places is not None:
        axis, taken = places
        scale, zero = ([values[i] for i in taken] for values in (found.scale, found.zero_point))
        keep(graph, {new: Kept(found.dtype, tuple(map(float, scale)), tuple(map(int, zero)), axis)})


def _places(numbers: Any) -> tuple[int | None, list[int]] | None:
    """The axis of `numbers` each index of which has one number (beside zeros), and these numbers - 1; no axis
    where there is one number in all, and None where there is no such axis."""
    for axis in (None, *range(numbers.ndim)):
        others = tuple(other for other in range(numbers.ndim) if other != axis)
        high = np.asarray(numbers.max(axis=others, initial=0)).reshape(-1)
        low = np.asarray(np.where(numbers == 0, high.max(initial=1), numbers).min(axis=others)).reshape(-1)
        if ((low == high) | (high == 0)).all():
            return axis, [max(int(number) - 1, 0) for number in high]
    return None


def scaled(graph: Graph, old: str, new: str, factors: NDArray[np.float64], axis: int) -> None:
    """Gives the constant `new`, which is the constant `old` times `factors` (one, or one for each index of
    `axis`), the entry of `old` with its scales multiplied; none where its scales lie along another axis. A
    channel that changes its sign turns its codes around: about 0 unless it has the lowest of a symmetric
    type, which has no opposite; then about the middle of all codes, which moves the zero point."""
    found = entry(graph, old)
    if found is None or (found.axis not in (None, axis) and len(factors) > 1):
        return
    count = max(len(factors), len(found.scale))
    each = np.broadcast_to(factors, (count,))
    scales = np.abs(np.where(each == 0, 1, each)) * np.broadcast_to(found.scale, (count,))
    zeros = np.broadcast_to(np.array(found.zero_point, np.int64), (count,))
    low, high = CODES[found.dtype]
    along = found.axis if len(found.scale) > 1 else axis if count > 1 else None
    turned = (each < 0) & ((zeros != 0) | (low == 0) | _has_lowest(graph.constants.get(old), found, along))
    zeros = np.where(turned, low + high - zeros, zeros)
    if np.isfinite(scales).all() and (scales > 0).all():
        keep(graph, {new: Kept(found.dtype, tuple(scales.tolist()), tuple(zeros.tolist()), along)})


def _has_lowest(values: Array | None, entry: Kept, along: int | None) -> NDArray[np.bool_]:
    """Whether the lowest code of `entry`, symmetric, is among those of `values`, by the index of `along`."""
    if values is None or not values.size:
        return np.zeros(1, np.bool_)
    others = tuple(axis for axis in range(values.ndim) if axis != along)
    least = np.asarray(values.min(axis=others), np.float64).reshape(-1)
    found: NDArray[np.bool_] = np.rint(least / np.asarray(entry.scale)) <= CODES[entry.dtype][0]
    return found


def dropped(graph: Graph, name: str) -> None:
    """Forgets the entry of `name`: the tensor so called holds other values now."""
    if is_kept(graph):
        _read(graph).pop(name, None)


def copied(graph: Graph, copy: Graph) -> None:
    """Gives `copy`, which has the metadata of `graph`, its entries."""
    copy.quantization = None if graph.quantization is None else dict(graph.quantization)


def metadata(graph: Graph) -> dict[str, str]:
    """All metadata of `graph` as a file holds them, the entries as JSON among them."""
    if not graph.quantization:
        return dict(graph.metadata)
    found = {name: vars(item) for name, item in graph.quantization.items()}
    return {**graph.metadata, KEY: json.dumps(found, sort_keys=True)}


def _read(graph: Graph) -> dict[str, Kept]:
    """The entries themselves, to be changed in place: parsed once, then held by the graph."""
    if graph.quantization is None:
        text = graph.metadata.get(KEY)
        graph.quantization = {} if text is None else _parsed(text)
        graph.metadata.pop(KEY, None)
    return graph.quantization


def _parsed(text: str) -> dict[str, Kept]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise _damaged("it is not JSON") from None
    if not isinstance(found, dict):
        raise _damaged("it is not a mapping of tensors")
    return {name: _entry(name, item) for name, item in found.items()}


def _entry(name: str, item: Any) -> Kept:
    if not isinstance(item, dict) or set(item) != {"dtype", "scale", "zero_point", "axis"}:
        raise _damaged(f"the entry of `{name}` has other fields than dtype, scale, zero_point, axis")
    dtype, scale, zero, axis = item["dtype"], item["scale"], item["zero_point"], item["axis"]
    if not isinstance(dtype, str) or dtype not in CODES:
        raise _damaged(f"the entry of `{name}` has an unknown dtype")
    if not isinstance(scale, list) or not scale or not all(_is_scale(value) for value in scale):
        raise _damaged(f"the scales of `{name}` are not positive numbers")
    whole = isinstance(zero, list) and all(type(value) is int for value in zero)
    low, high = CODES[dtype]
    if not whole or len(zero) != len(scale) or not all(low <= value <= high for value in zero):
        raise _damaged(f"the zero points of `{name}` are not codes of {dtype}, one a scale")
    if (axis is not None and type(axis) is not int) or (axis is None and len(scale) != 1):
        raise _damaged(f"the axis of `{name}` is wrong")
    return Kept(dtype, tuple(float(value) for value in scale), tuple(zero), axis)


def _is_scale(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value) and value > 0


def _damaged(why: str) -> ModelbuildError:
    return ModelbuildError(f"the model's metadata `{KEY}` is damaged", why=why, exit_code=2)
