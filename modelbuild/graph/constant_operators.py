"""Operators on constants with the same bits on any machine: element-wise IEEE arithmetic and data movement.

No BLAS and no math library: sums run in a fixed order in float64, transcendental functions are not here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from modelbuild.graph import constant_indexing, slicing
from modelbuild.graph.model import Array, Node
from modelbuild.graph.repeated import distinct
from modelbuild.graph.tensors import dtype_of

Operator = Callable[[Node, Sequence[Any]], Any]  # arrays in, one array (or a tuple of them) out


def evaluate(node: Node, inputs: Sequence[Array | None]) -> tuple[Array, ...] | None:
    """The outputs of `node` on constant inputs (None: absent), or None where it is not one of these.

    Raises ValueError, IndexError or TypeError where the inputs do not fit the operator.
    """
    function = OPERATORS.get(node.op)
    if function is None or node.domain:
        return None
    with np.errstate(all="ignore"):
        result = function(node, inputs)
    if result is None:
        return None
    outputs = result if isinstance(result, tuple) else (result,)
    return tuple(_one_form(node.op, np.asarray(item)) for item in outputs)


# Of 0 and -0 processors (and numpy's loops for each) give either: these give 0.
_LIMITING = frozenset({"Clip", "Max", "Min", "ReduceMax", "ReduceMin", "Relu"})


def _one_form(op: str, array: Array) -> Array:
    """The array with one zero where IEEE 754 leaves its sign open, and with one NaN, whose bits it leaves."""
    if not np.issubdtype(array.dtype, np.floating):
        return array
    if op in _LIMITING:
        array = np.asarray(np.add(array, 0, dtype=array.dtype))
    undefined = np.isnan(distinct(array))
    return np.where(undefined, np.asarray(np.nan, array.dtype), array) if undefined.any() else array


def ordered_sum(array: NDArray[np.float64], axes: tuple[int, ...]) -> NDArray[np.float64]:
    """The sum over `axes`, added one slab after the other, so that no SIMD width changes a bit."""
    kept = [axis for axis in range(array.ndim) if axis not in axes]
    slabs = array.transpose([*axes, *kept]).reshape(-1, *(array.shape[axis] for axis in kept))
    total = np.zeros(slabs.shape[1:], np.float64)
    for slab in slabs:
        total = total + slab
    return total


def _integers(value: Array) -> list[int]:
    return [int(item) for item in np.asarray(value).reshape(-1)]


def _binary(function: Callable[[Any, Any], Any]) -> Operator:
    return lambda node, x: function(x[0], x[1])


def _unary(function: Callable[[Any], Any]) -> Operator:
    return lambda node, x: function(x[0])


def _variadic(function: Callable[[Any, Any], Any]) -> Operator:
    def run(node: Node, x: Sequence[Any]) -> Any:
        result = x[0]
        for item in x[1:]:
            result = function(result, item)
        return result

    return run


def _divide(a: Any, b: Any) -> Any:
    if np.issubdtype(a.dtype, np.floating):
        return a / b
    if not np.all(b):
        raise ValueError("division by zero")
    quotient = np.abs(a) // np.abs(b)  # ONNX rounds towards zero, numpy down
    return (quotient * np.sign(a) * np.sign(b)).astype(a.dtype)


def _modulo(node: Node, x: Sequence[Any]) -> Any:
    if not np.issubdtype(x[0].dtype, np.integer) or not np.all(x[1]):
        return None
    return np.fmod(x[0], x[1]) if node.int("fmod", 0) else np.mod(x[0], x[1])


def _power(node: Node, x: Sequence[Any]) -> Any:
    base, exponent = x
    if np.issubdtype(base.dtype, np.integer) and np.issubdtype(exponent.dtype, np.integer):
        return np.power(base, exponent).astype(base.dtype) if np.all(exponent >= 0) else None
    exact: Mapping[float, Callable[[Any], Any]] = {1.0: np.copy, 2.0: np.square, 0.5: np.sqrt}
    function = exact.get(float(exponent)) if exponent.size == 1 else None
    return (
        None if function is None else function(base).reshape(np.broadcast_shapes(base.shape, exponent.shape))
    )


def _cast(node: Node, x: Sequence[Any]) -> Any:
    dtype = dtype_of(node.int("to", 0), node.outputs[0])
    if np.issubdtype(x[0].dtype, np.floating) and np.issubdtype(dtype, np.integer):
        limits = np.iinfo(cast(Any, dtype))  # outside them C leaves the result to the processor
        if not np.all((x[0] >= limits.min) & (x[0] <= limits.max)):
            return None
    return x[0].astype(dtype)


def _clip(node: Node, x: Sequence[Any]) -> Any:
    low, high = (x[index] if len(x) > index else None for index in (1, 2))
    if len(x) == 1:  # before set 11
        low, high = (node.attributes.get(name) for name in ("min", "max"))
        low, high = (None if item is None else np.asarray(item, x[0].dtype) for item in (low, high))
    result = x[0] if low is None else np.maximum(x[0], low)
    return result if high is None else np.minimum(result, high)


def _reshape(node: Node, x: Sequence[Any]) -> Any:
    target = _integers(x[1])
    if not node.int("allowzero", 0):
        target = [x[0].shape[axis] if size == 0 else size for axis, size in enumerate(target)]
    return x[0].reshape(target)


def _flatten(node: Node, x: Sequence[Any]) -> Any:
    axis = node.int("axis", 1)
    axis += x[0].ndim if axis < 0 else 0
    return x[0].reshape(int(np.prod(x[0].shape[:axis], dtype=np.int64)), -1)


def _axes(node: Node, x: Sequence[Any], default: list[int]) -> list[int]:
    return _integers(x[1]) if len(x) > 1 and x[1] is not None else node.ints("axes", default)


def _squeeze(node: Node, x: Sequence[Any]) -> Any:
    axes = _axes(node, x, [axis for axis, size in enumerate(x[0].shape) if size == 1])
    return np.squeeze(x[0], axis=tuple(axes))


def _slice(node: Node, x: Sequence[Any]) -> Any:
    given = [node.ints(name, []) for name in ("starts", "ends")] if len(x) == 1 else map(_integers, x[1:3])
    starts, ends = given  # attributes before set 10
    default = node.ints("axes", list(range(len(starts))))
    axes = _integers(x[3]) if len(x) > 3 and x[3] is not None else default
    steps = _integers(x[4]) if len(x) > 4 and x[4] is not None else [1] * len(starts)
    index = [slice(None)] * x[0].ndim
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        cells = slicing.kept(start, end, step, x[0].shape[axis])
        index[axis] = slice(cells.start, cells.stop if cells.stop >= 0 else None, step)
    return x[0][tuple(index)]


def _split(node: Node, x: Sequence[Any]) -> Any:
    axis, count = node.int("axis", 0), len(node.outputs)
    sizes = _integers(x[1]) if len(x) > 1 and x[1] is not None else node.ints("split", [])
    if not sizes:
        chunk = -(-x[0].shape[axis] // count)
        sizes = [chunk] * (count - 1) + [x[0].shape[axis] - chunk * (count - 1)]
    return tuple(np.split(x[0], np.cumsum(sizes)[:-1], axis=axis))


def _gather(node: Node, x: Sequence[Any]) -> Any:
    return np.take(x[0], x[1], axis=node.int("axis", 0))


def _constant_of_shape(node: Node, x: Sequence[Any]) -> Any:
    value = np.asarray(node.attributes.get("value", np.zeros(1, np.float32)))
    return np.broadcast_to(value.reshape(-1)[:1].reshape(()), _integers(x[0]))  # one value in memory


def _pad(node: Node, x: Sequence[Any]) -> Any:
    if node.attributes.get("mode", "constant") != "constant" or (len(x) > 3 and x[3] is not None):
        return None
    pads = _integers(x[1]) if len(x) > 1 else node.ints("pads", [])  # attributes before set 11
    if min(pads, default=0) < 0:
        return None
    given = x[2].reshape(-1)[0] if len(x) > 2 and x[2] is not None else node.attributes.get("value", 0)
    value = np.asarray(given, x[0].dtype)
    rank = x[0].ndim
    return np.pad(x[0], [(pads[i], pads[i + rank]) for i in range(rank)], constant_values=value)


def _reduce(function: Callable[..., Any], exact_floats: bool) -> Operator:
    def run(node: Node, x: Sequence[Any]) -> Any:
        if not exact_floats and not np.issubdtype(x[0].dtype, np.integer):
            return None
        axes = tuple(_axes(node, x, []))
        if not axes and node.int("noop_with_empty_axes", 0):
            return x[0]
        keep = bool(node.int("keepdims", 1))
        return np.asarray(function(x[0], axis=axes or None, keepdims=keep)).astype(x[0].dtype)

    return run


def _one_value(array: Any) -> Any:
    return np.asarray(array).reshape(-1)[0]


def _range(node: Node, x: Sequence[Any]) -> Any:
    start, limit, delta = (_one_value(item) for item in x)
    if delta == 0:
        raise ValueError("Range with a step of zero")
    count = max(int(np.ceil((float(limit) - float(start)) / float(delta))), 0)
    return (start + np.arange(count).astype(x[0].dtype) * delta).astype(x[0].dtype)


OPERATORS: Mapping[str, Operator] = {
    "Abs": _unary(np.abs),
    "Add": _binary(np.add),
    "And": _binary(np.logical_and),
    "Cast": _cast,
    "Ceil": _unary(np.ceil),
    "Clip": _clip,
    "Concat": lambda node, x: np.concatenate(list(x), axis=node.int("axis", 0)),
    "ConstantOfShape": _constant_of_shape,
    "Div": _binary(_divide),
    "Equal": _binary(np.equal),
    "Expand": lambda node, x: np.array(
        np.broadcast_to(x[0], np.broadcast_shapes(x[0].shape, _integers(x[1])))
    ),
    "Flatten": _flatten,
    "Floor": _unary(np.floor),
    "Gather": _gather,
    "Greater": _binary(np.greater),
    "GreaterOrEqual": _binary(np.greater_equal),
    "Identity": lambda node, x: x[0],
    "Less": _binary(np.less),
    "LessOrEqual": _binary(np.less_equal),
    "Max": _variadic(np.maximum),
    "Min": _variadic(np.minimum),
    "Mod": _modulo,
    "Mul": _binary(np.multiply),
    "Neg": _unary(np.negative),
    "Not": _unary(np.logical_not),
    "Or": _binary(np.logical_or),
    "Pad": _pad,
    "Pow": _power,
    "Range": _range,
    "Reciprocal": _unary(lambda x: np.asarray(1, x.dtype) / x),
    "ReduceMax": _reduce(np.max, True),
    "ReduceMin": _reduce(np.min, True),
    "ReduceProd": _reduce(np.prod, False),
    "ReduceSum": _reduce(np.sum, False),
    "Relu": _unary(lambda x: np.maximum(x, np.asarray(0, x.dtype))),
    "Reshape": _reshape,
    "Round": _unary(np.rint),
    "Sign": _unary(np.sign),
    "Slice": _slice,
    "Split": _split,
    "Sqrt": _unary(np.sqrt),
    "Squeeze": _squeeze,
    "Sub": _binary(np.subtract),
    "Sum": _variadic(np.add),
    "Tile": lambda node, x: np.tile(x[0], _integers(x[1])),
    "Transpose": lambda node, x: np.transpose(x[0], node.ints("perm", list(range(x[0].ndim))[::-1])),
    "Unsqueeze": lambda node, x: np.expand_dims(x[0], tuple(_axes(node, x, []))),
    "Where": lambda node, x: np.where(x[0], x[1], x[2]),
    "Xor": _binary(np.logical_xor),
    **constant_indexing.OPERATORS,
}
