"""Functions that move elements and compute nothing."""

from __future__ import annotations

import numpy as np

from modelbuild.kpu.simulator import scalars
from modelbuild.kpu.simulator.call import Call, Padding, Shape
from modelbuild.kpu.simulator.memory import Array, elements, row_major
from modelbuild.kpu.simulator.types import raw

_MAX_COPIED_RANK = 5  # from here on, the vendor's copy with gaps on one side forgets the gaps
_CONSTANT, _REFLECT, _SYMMETRIC, _EDGE = range(4)


def copy(call: Call) -> None:
    """A copy from some strides to others."""
    shape = call.sizes("rshape")
    source, target = call.shape("rstride_src"), call.shape("rstride_dest")
    dense = row_major(shape)
    if (source == dense and _gap(target, dense) >= _MAX_COPIED_RANK) or (
        target == dense and _gap(source, dense) >= _MAX_COPIED_RANK
    ):
        source = target = dense
    call.store("output", call.load("input", shape, source, call.moved()).copy(), target)


def _gap(strides: Shape, dense: Shape) -> int:
    """One more than the last dimension whose stride is another one."""
    if len(strides) != len(dense):
        return 0
    return max((index + 1 for index in range(len(dense)) if strides[index] != dense[index]), default=0)


def broadcast(call: Call) -> None:
    """Dimensions of one element repeated."""
    found = call.load("input", call.sizes("rshape_src"), call.shape("rstride_src"), call.moved())
    shape = call.sizes("rshape_dest")
    call.fits("output", shape, found.dtype, call.shape("rstride_dest"))
    call.store("output", broadcasted(call, found, shape).copy(), call.shape("rstride_dest"))


def broadcasted(call: Call, values: Array, shape: Shape) -> Array:
    """The values in a larger shape."""
    try:
        return np.broadcast_to(values, shape)
    except ValueError:
        raise call.fail(f"the shape {list(values.shape)} cannot be spread to {list(shape)}") from None


def transpose(call: Call) -> None:
    """Dimensions in another order: the first of the result is that of number perm[0]."""
    found = call.load("input", call.sizes("rshape_src"), call.shape("rstride_src"), call.moved())
    order = call.shape("rshape_perm")
    if sorted(order) != list(range(found.ndim)):
        raise call.fail(f"{list(order)} is no order of {found.ndim} dimensions")
    call.store("output", found.transpose(order).copy(), call.shape("rstride_dest"))


def slice_(call: Call) -> None:
    """From `begins` to before `ends`, in steps. A negative step goes backwards, `ends` being left out."""
    found = call.load("input", call.sizes("rshape_src"), call.shape("rstride_src"), call.moved())
    begins, ends, steps = (call.shape(name) for name in ("rbegins", "rends", "rstrides"))
    if not len(begins) == len(ends) == len(steps) == found.ndim:
        raise call.fail(f"{found.ndim} dimensions need as many begins, ends and strides")
    chosen = []
    for size, begin, end, step in zip(found.shape, begins, ends, steps, strict=True):
        last = end if step > 0 else max(end, -1)
        if step == 0 or not 0 <= begin <= size or last > size:
            raise call.fail(f"from {begin} to {end} in steps of {step} leaves a dimension of {size}")
        stop = None if last < 0 else last
        chosen.append(slice(begin, stop, step) if step < 0 or begin < end else slice(0, 0))
    call.store("output", found[tuple(chosen)].copy(), call.shape("rstride_dest"))


def pad(call: Call) -> None:
    """Elements before, after and between those of the input; fewer where a number is negative."""
    dtype = call.moved()
    if dtype.itemsize > 4:
        raise call.fail("the runtime has no kernel for elements of eight bytes")
    value = scalars.scalar(call.value("pad_value"), call.number("datatype")).view(dtype)
    paddings, mode = call.paddings("rpaddings"), call.number("pad_mode")
    shape = call.sizes("rshape_src")
    if len(paddings) != len(shape):
        raise call.fail(f"{len(shape)} dimensions have {len(paddings)} paddings")
    sizes = tuple(
        size + (size - 1) * inside + before + after
        for size, (before, after, inside) in zip(shape, paddings, strict=True)
    )
    call.fits("output", sizes, dtype, call.shape("rstride_dest"))
    found = call.load("input", shape, call.shape("rstride_src"), dtype)
    if any(interior for _, _, interior in paddings):
        if any(interior for _, _, interior in paddings[:-2]) or any(item[2] < 0 for item in paddings):
            raise call.fail("only the last two dimensions can be padded inside")
        found = _spread(call, call.load("input", shape, None, dtype), paddings, value)
    call.store("output", padded(call, found, paddings, mode, value), call.shape("rstride_dest"))


def _spread(call: Call, values: Array, paddings: tuple[Padding, ...], value: Array) -> Array:
    shape = tuple(
        size + (size - 1) * interior for size, (_, _, interior) in zip(values.shape, paddings, strict=True)
    )
    elements(shape)
    found = np.full(shape, value, values.dtype)
    found[tuple(slice(None, None, interior + 1) for _, _, interior in paddings)] = values
    return found


def padded(call: Call, values: Array, paddings: tuple[Padding, ...], mode: int, value: Array) -> Array:
    """The values with elements at both ends of each dimension."""
    shape = tuple(size + pad[0] + pad[1] for size, pad in zip(values.shape, paddings, strict=True))
    elements(shape)
    indices, inside = [], []
    for size, (before, _, _), out in zip(values.shape, paddings, shape, strict=True):
        at = np.arange(out) - before
        low, high = at < 0, at > size - 1
        mirrored = {
            _CONSTANT: (np.zeros_like(at), np.zeros_like(at)),
            _REFLECT: (-at, 2 * size - 2 - at),
            _SYMMETRIC: (-at - 1, 2 * size - 1 - at),
            _EDGE: (np.zeros_like(at), np.full_like(at, size - 1)),
        }.get(mode)
        if mirrored is None:
            raise call.fail(f"there is no mode {mode}")
        index = np.where(low, mirrored[0], np.where(high, mirrored[1], at))
        if index.size and (size == 0 or index.min() < 0 or index.max() >= size):
            raise call.fail(f"a dimension of {size} is too small for what is padded from it")
        indices.append(index)
        inside.append(~(low | high))
    found = values[np.ix_(*indices)]
    if mode == _CONSTANT:
        for axis, own in enumerate(inside):
            found[(slice(None),) * axis + (~own,)] = value
    return found


def batch_to_space(call: Call) -> None:
    """Blocks of batches side by side in space, then cropped."""
    shape, blocks = call.sizes("rshape_src"), call.sizes("rshape_block")
    found = call.load("input", shape, call.shape("rstride_src"), call.moved())
    crops, count = call.paddings("rpad_crops"), elements(blocks)
    first = len(shape) - len(blocks)
    if first < 1 or len(crops) < len(blocks) or count == 0 or shape[0] % count:
        raise call.fail(f"the shape {list(shape)} has no blocks {list(blocks)}")
    split = found.reshape(*blocks, shape[0] // count, *shape[1:])
    order = [len(blocks), *range(len(blocks) + 1, len(blocks) + first)]
    for index in range(len(blocks)):
        order += [len(blocks) + first + index, index]
    whole = split.transpose(order).reshape(
        shape[0] // count, *shape[1:first], *(a * b for a, b in zip(shape[first:], blocks, strict=True))
    )
    cuts = [slice(None)] * first
    for size, (before, after, _) in zip(whole.shape[first:], crops, strict=False):
        if before < 0 or after < 0:
            raise call.fail("a crop is negative")
        cuts.append(slice(before, max(before, size - after)))
    call.store("output", whole[tuple(cuts)].copy(), call.shape("rstride_dest"))


def space_to_batch(call: Call) -> None:
    """Padded with zeros, then blocks of space as batches. The result has no gaps, whatever its strides."""
    shape, blocks = call.sizes("rshape_src"), call.sizes("rshape_block")
    dtype, crops = raw(call.number("datatype")), call.paddings("rpad_crops")
    first = len(shape) - len(blocks)
    if dtype.itemsize > 4 or first < 0 or len(crops) < len(blocks) or elements(blocks) == 0:
        raise call.fail(f"the shape {list(shape)} has no blocks {list(blocks)}")
    found = call.load("input", shape, call.shape("rstride_src"), dtype)
    more = [0] * first + [crop[0] + crop[1] for crop in crops[: len(blocks)]]
    sizes = tuple(size + extra for size, extra in zip(shape, more, strict=True))
    call.fits("output", sizes, dtype, row_major(sizes))
    paddings = ((0, 0, 0),) * first + tuple((a, b, 0) for a, b, _ in crops[: len(blocks)])
    whole = padded(call, found, paddings, _CONSTANT, np.zeros((), dtype))
    parts: list[int] = list(whole.shape[:first])
    for size, block in zip(whole.shape[first:], blocks, strict=True):
        if size % block:
            raise call.fail(f"a padded dimension of {size} has no whole blocks of {block}")
        parts += [size // block, block]
    inner = [first + 2 * index + 1 for index in range(len(blocks))]
    order = inner + list(range(first)) + [first + 2 * index for index in range(len(blocks))]
    call.store("output", whole.reshape(parts).transpose(order).copy())


def trilu(call: Call) -> None:
    """The upper or lower triangle of matrices from diagonal `k` on, the rest zero."""
    call.only(9)
    shape = call.sizes("rshape_src")
    if len(shape) < 2:
        raise call.fail("it takes matrices")
    found = call.load("input", shape)
    k = call.number("k")
    rows, columns = np.ogrid[: shape[-2], : shape[-1]]
    gone = columns < rows + k if call.flag("upper") else columns > rows + k
    call.store("output", np.where(gone, np.float32(0), found))
