"""Functions that pick elements by indices: gather and its kin, onehot, compress, lut1d."""

from __future__ import annotations

import numpy as np

from modelbuild.kpu.simulator.call import Call, Shape
from modelbuild.kpu.simulator.memory import Array, elements
from modelbuild.kpu.simulator.types import I32, I64, U8, raw

_UINT8 = 4


def _indices(call: Call, shape: Shape, size: int, dtype: np.dtype = I32) -> Array:
    """Indices into a dimension, which must lie inside: the runtime does not look."""
    found = call.load("indices", shape, None, dtype).astype(np.int64)
    if found.size and (found.min() < 0 or found.max() >= size):
        raise call.fail(f"an index lies outside of a dimension of {size}")
    return found


def gather(call: Call) -> None:
    """Slices of an axis by index."""
    shape, axis = call.sizes("rshape_src"), call.number("axis")
    if axis >= len(shape):
        raise call.fail(f"there is no axis {axis} of {len(shape)}")
    indices = _indices(call, call.shape("rshape_indices"), shape[axis])
    found = call.load("input", shape, call.shape("rstride_src"), call.moved())
    elements((*shape[:axis], *indices.shape, *shape[axis + 1 :]))
    result = np.take(found, indices, axis=axis)
    _fits(call, result.shape)
    call.store("output", result.reshape(call.sizes("rshape_dest")), call.shape("rstride_dest"))


def _fits(call: Call, shape: Shape) -> None:
    wanted = call.sizes("rshape_dest")
    if tuple(size for size in shape if size != 1) != tuple(size for size in wanted if size != 1):
        raise call.fail(f"the result has the shape {list(shape)}, not {list(wanted)}")


def gather_nd(call: Call) -> None:
    """Slices by indices of several dimensions, the last dimension of the indices."""
    shape, indices_shape = call.sizes("rshape_src"), call.sizes("rshape_indices")
    batches, depth = call.number("batch_dims"), indices_shape[-1]
    if (
        batches >= len(indices_shape)
        or batches + depth > len(shape)
        or shape[:batches] != indices_shape[:batches]
    ):
        raise call.fail(f"{batches} batch dimensions and indices of {depth} do not fit {list(shape)}")
    indices = call.load("indices", indices_shape, None, I32).astype(np.int64)
    for column, size in enumerate(shape[batches : batches + depth]):
        own = indices[..., column]
        if own.size and (own.min() < 0 or own.max() >= size):
            raise call.fail(f"an index lies outside of a dimension of {size}")
    found = call.load("input", shape, call.shape("rstride_src"), call.moved())
    grid = np.ogrid[tuple(slice(size) for size in indices_shape[:-1])] if indices_shape[:-1] else []
    result = found[(*grid[:batches], *np.moveaxis(indices, -1, 0))]
    _fits(call, result.shape)
    call.store("output", result.reshape(call.sizes("rshape_dest")), call.shape("rstride_dest"))


def gather_elements(call: Call) -> None:
    """One element for each index along an axis; negative ones count from the end."""
    shape, indices_shape = call.sizes("input_shape_src"), call.sizes("indices_shape_src")
    axis = call.number("axis")
    if not 0 <= axis < len(shape) or len(shape) != len(indices_shape):
        raise call.fail(f"axis {axis} of {list(indices_shape)} indices into {list(shape)}")
    sizes = enumerate(zip(indices_shape, shape, strict=True))
    if any(own > size for place, (own, size) in sizes if place != axis):
        raise call.fail(f"{list(indices_shape)} indices do not fit {list(shape)}")
    indices = call.load("indices", indices_shape, None, I64)
    indices = np.where(indices < 0, indices + shape[axis], indices)
    if indices.size and (indices.min() < 0 or indices.max() >= shape[axis]):
        raise call.fail(f"an index lies outside of a dimension of {shape[axis]}")
    grid = list(np.ogrid[tuple(slice(size) for size in indices_shape)])
    grid[axis] = indices
    call.store("output", call.load("input", shape)[tuple(grid)])


def onehot(call: Call) -> None:
    """One value where the index is, another elsewhere; in mode 1 negative indices count from the end."""
    dtype = raw(call.number("datatype"))
    indices_shape, shape = call.shape("rshape_indices"), call.sizes("rshape_dest")
    axis = call.number("axis")
    if axis >= len(shape) or indices_shape != (*shape[:axis], *shape[axis + 1 :]):
        raise call.fail(f"axis {axis} of {list(shape)} for indices {list(indices_shape)}")
    indices = call.load("indices", indices_shape, None, I32).astype(np.int64)
    if call.number("onehot_mode") == 1:
        indices = np.where(indices < 0, indices + shape[axis], indices)
    if indices.size and indices.max() >= shape[axis]:
        raise call.fail(f"an index lies outside of {shape[axis]} values")
    on, off = call.load("on_value", (1,), None, dtype), call.load("off_value", (1,), None, dtype)
    steps = np.arange(shape[axis]).reshape(-1, *[1] * (len(shape) - axis - 1))
    hit = np.broadcast_to(np.expand_dims(indices, axis) == steps, shape)
    call.store("output", np.where(hit, on[0], off[0]).astype(dtype), call.shape("rstride_dest"))


def compress(call: Call) -> None:
    """The slices of an axis whose condition is not 0; with an axis past the last one, of all elements."""
    shape, axis = call.sizes("input_shape_src"), int(call.operands["axis"])
    flags = call.load("condition", call.sizes("condition_shape_src")[:1], None, U8) != 0
    if not 0 <= axis <= len(shape):
        raise call.fail(f"there is no axis {axis} of {len(shape)}")
    found = call.load("input", shape)
    size = found.size if axis == len(shape) else shape[axis]
    places = np.flatnonzero(flags[:size])
    if axis == len(shape) and len(flags) > size:
        raise call.fail("it has more conditions than elements")
    result = found.reshape(-1)[places] if axis == len(shape) else np.take(found, places, axis=axis)
    call.store("output", result.reshape(-1))


def lut1d(call: Call) -> None:
    """Bytes through a table."""
    call.only(_UINT8)
    found = call.load("input", call.sizes("rshape_src"), call.shape("rstride_src"), U8)
    used = int(found.max()) + 1 if found.size else 0
    call.store("output", call.load("table", (used,), None, U8)[found], call.shape("rstride_dest"))
