"""Functions on images: resize_image, roi_align. float32 step by step as the vendor's kernels."""

from __future__ import annotations

import numpy as np

from modelbuild.kpu.simulator import scalars
from modelbuild.kpu.simulator.call import Call
from modelbuild.kpu.simulator.functions.conversions import to_whole
from modelbuild.kpu.simulator.memory import Array, elements
from modelbuild.kpu.simulator.types import BFLOAT16, F32, I64, from_bfloat16, raw, to_bfloat16

_FLOAT32, _FLOAT16, _FLOAT64 = 9, 8, 10
_HALF = np.float32(0.5)
_ONE = np.float32(1)


def resize_image(call: Call) -> None:
    """Bilinear (mode 0) or nearest. Whole numbers are taken as without sign."""
    shape, code = call.sizes("rshape_src"), call.number("datatype")
    height, width = (scalars.signed(scalars.low_bits(call.value(name), 32), 32) for name in ("h", "w"))
    if len(shape) != 4 or min(height, width) < 1 or min(shape[2:]) < 1:
        raise call.fail(f"from {list(shape)} to {height} by {width}")
    elements((*shape[:2], height, width))
    call.spend(shape[0] * shape[1] * height * width * 16)
    if code in (_FLOAT16, _FLOAT64):
        raise call.fail("the runtime has no kernel for the type")
    x = call.load("input", shape, call.shape("rstride_src"), F32 if code == _FLOAT32 else raw(code))
    corners, centres = call.flag("align_corners"), call.flag("half_pixel_centers")
    if code == BFLOAT16 and centres:
        raise call.fail("the runtime has no kernel for bfloat16 with half pixel centers")
    scales = [
        _scale(size, out, corners=corners) for size, out in zip(shape[2:], (height, width), strict=True)
    ]
    if call.number("image_resize_mode") == 0:
        found = _bilinear(call, x, (height, width), scales, code, centres=centres)
    else:
        rows, columns = (
            _nearest(out, size, scale, corners=corners, centres=centres)
            for out, size, scale in zip((height, width), shape[2:], scales, strict=True)
        )
        found = x[:, :, rows[:, None], columns]
    call.store("output", found, call.shape("rstride_dest"))


def _scale(size: int, out: int, *, corners: bool) -> np.float32:
    if corners and out > 1:
        return np.float32(np.float32(size - 1) / np.float32(out - 1))
    return np.float32(np.float32(size) / np.float32(out))


def _nearest(out: int, size: int, scale: np.float32, *, corners: bool, centres: bool) -> Array:
    place = (np.arange(out).astype(np.float32) + (_HALF if centres else np.float32(0))) * scale
    # Ties away from 0: nothing here is negative.
    whole = np.floor(place.astype(np.float64) + 0.5) if corners else np.floor(place)
    return np.clip(whole.astype(np.int64), 0, size - 1)


def _line(out: int, size: int, scale: np.float32, *, centres: bool) -> tuple[Array, Array, Array]:
    """For each place: the element before, the one behind, and how far it is from the one before."""
    place = np.arange(out).astype(np.float32)
    place = (place + _HALF) * scale - _HALF if centres else place * scale
    before = np.maximum(np.floor(place).astype(np.int64), 0)
    behind = np.minimum(np.ceil(place).astype(np.int64), size - 1)
    return before, behind, (place - before.astype(np.float32)).astype(np.float32)


def _bilinear(
    call: Call, x: Array, sizes: tuple[int, int], scales: list[np.float32], code: int, *, centres: bool
) -> Array:
    rows, columns = (
        _line(out, size, scale, centres=centres)
        for out, size, scale in zip(sizes, x.shape[2:], scales, strict=True)
    )
    if (
        rows[0].max() >= x.shape[2]
        or columns[0].max() >= x.shape[3]
        or min(rows[1].min(), columns[1].min()) < 0
    ):
        raise call.fail("a place lies outside of its input")
    values = from_bfloat16(x) if code == BFLOAT16 else x.astype(np.float32)
    if code == BFLOAT16:
        # This kernel takes the next one behind even where the place is a whole number, and 0 of it.
        rows, columns = (
            (line[0], np.minimum(line[0] + 1, size - 1), line[2])
            for line, size in zip((rows, columns), x.shape[2:], strict=True)
        )
    down, right = rows[2][:, None], columns[2]
    factors = ((_ONE - down) * (_ONE - right), down * (_ONE - right), (_ONE - down) * right, down * right)
    corners = ((0, 0), (1, 0), (0, 1), (1, 1))  # row and column, in the order in which they are added
    total = None
    for (row, column), factor in zip(corners, factors, strict=True):
        part = values[:, :, rows[row][:, None], columns[column]] * factor
        total = part if total is None else total + part
    assert total is not None
    if code == BFLOAT16:
        return to_bfloat16(total)
    return total + np.float32(0) if x.dtype == F32 else to_whole(total + _HALF, x.dtype)  # no -0


def roi_align(call: Call) -> None:
    """Mean or largest of bilinear samples in the cells of regions (x1, y1, x2, y2)."""
    call.only(_FLOAT32)
    shape, sizes = call.sizes("rshape_src"), call.sizes("rshape_dest")
    if len(shape) != 4 or len(sizes) != 4 or sizes[1] > shape[1]:
        raise call.fail(f"from {list(shape)} to {list(sizes)}")
    x, regions = call.load("input", shape), call.load("rois", (sizes[0], 4))
    images = call.load("batch_indices", sizes[:1], None, I64)
    if images.size and (images.min() < 0 or images.max() >= shape[0]):
        raise call.fail("a region is of an image that is not there")
    if sizes[1] != shape[1] and images.size and images.max() > 0:
        raise call.fail("it takes some channels of an image that is not the first")
    regions = regions * call.float32("spatial_scale")
    if not np.isfinite(regions).all():
        raise call.fail("a region is not finite")
    found = np.zeros(sizes, np.float32)
    for index, image in enumerate(images):
        found[index] = _region(call, x[image, : sizes[1]], regions[index], sizes)
    call.store("output", found)


def _region(call: Call, x: Array, region: Array, sizes: tuple[int, ...]) -> Array:
    """One region: (channels, rows, columns)."""
    mean, ratio = call.number("mode") == 0, call.number("sampling_ratio")
    lines = []
    for axis, (first, last, cells) in enumerate(((1, 3, sizes[2]), (0, 2, sizes[3]))):
        length = np.maximum(region[last] - region[first], _ONE)
        cell = length / np.float32(cells)
        samples = ratio if ratio > 0 else int(np.ceil(cell))
        call.spend(0, cells * samples)
        lines.append((*_samples(region[first], cell, cells, samples, x.shape[1 + axis]), samples))
    (y, x_line) = lines
    count = y[4] * x_line[4]
    call.spend(sizes[1] * sizes[2] * sizes[3] * count * 8, count)
    total = np.zeros(sizes[1:], np.float32)
    for row in range(y[4]):
        for column in range(x_line[4]):
            part = _sample(
                x,
                tuple(item[:, row] for item in y[:4]),
                tuple(item[:, column] for item in x_line[:4]),
                mean=mean,
            )
            if mean:
                total = total + part
            else:
                total = part if row == column == 0 else np.where(total < part, part, total)
    return (total / np.float32(count)).astype(np.float32) if mean else total


def _samples(
    start: np.float32, cell: np.float32, cells: int, samples: int, size: int
) -> tuple[Array, Array, Array, Array]:
    """For each cell and sample: element before, behind, how far from the one before, and whether inside."""
    step = (np.arange(samples).astype(np.float32) + _HALF) * cell / np.float32(samples)
    place = (start + np.arange(cells).astype(np.float32)[:, None] * cell) + step
    inside = (place >= -1) & (place <= size)
    place = np.where(place <= 0, np.float32(0), place)
    before = np.where(inside, place, 0).astype(np.int64)
    last = before >= size - 1
    before = np.where(last, size - 1, before)
    place = np.where(last, before.astype(np.float32), place)
    return before, np.where(last, before, before + 1), place - before.astype(np.float32), inside


def _sample(x: Array, y_line: tuple[Array, ...], x_line: tuple[Array, ...], *, mean: bool) -> Array:
    low, high = y_line[2][:, None], x_line[2]
    inside = y_line[3][:, None] & x_line[3]
    factors = ((_ONE - low) * (_ONE - high), (_ONE - low) * high, low * (_ONE - high), low * high)
    total = None
    for (row, column), factor in zip(((0, 0), (0, 1), (1, 0), (1, 1)), factors, strict=True):
        rows = np.where(inside, y_line[row][:, None], 0)
        columns = np.where(inside, x_line[column], 0)
        part = x[:, rows, columns] * np.where(inside, factor, np.float32(0))
        if total is None:
            total = part
        else:
            total = total + part if mean else np.where(total < part, part, total)
    assert total is not None
    return total
