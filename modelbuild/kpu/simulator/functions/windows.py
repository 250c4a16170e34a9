"""Functions that slide a window: conv2d and reduce_window2d, in float32, adding in the vendor's order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from modelbuild.kpu.simulator import scalars
from modelbuild.kpu.simulator.call import Call, Padding, Shape
from modelbuild.kpu.simulator.memory import Array, elements, row_major

_FLOAT32 = 9
_OTHER_KERNELS = (1, 3, 5, 7)
_MEAN, _MIN, _MAX, _SUM = range(4)


@dataclass(frozen=True)
class Line:
    """A window along one dimension."""

    size: int
    kernel: int
    stride: int
    dilation: int
    before: int
    after: int

    @property
    def out(self) -> int:
        """Places of the window."""
        reach = (self.kernel - 1) * self.dilation + 1
        return (self.size + self.before + self.after - reach + self.stride) // self.stride

    def tap(self, index: int) -> tuple[slice, slice]:
        """For one place in the kernel: which windows have it inside, and of which elements."""
        shift = index * self.dilation - self.before
        first = max(0, -(shift // self.stride))
        last = min(self.out - 1, (self.size - 1 - shift) // self.stride)
        if last < first:
            return slice(0, 0), slice(0, 0)
        start = first * self.stride + shift
        return slice(first, last + 1), slice(start, start + (last - first) * self.stride + 1, self.stride)


def _lines(call: Call, shape: Shape, kernel: tuple[int, int]) -> tuple[Line, Line]:
    """Rows and columns."""
    found = []
    for place, letter in ((0, "h"), (1, "w")):
        padding: Padding = call.padding(f"padding_{letter}")
        stride, dilation = call.number(f"stride_{letter}"), call.number(f"dilation_{letter}")
        line = Line(shape[2 + place], kernel[place], stride, dilation, padding[0], padding[1])
        if not stride or not dilation or kernel[place] < 1 or line.out < 1:
            raise call.fail(f"no window of {kernel[place]} by {stride} fits {shape[2 + place]} elements")
        found.append(line)
    return found[0], found[1]


def _taps(rows: Line, columns: Line) -> Iterator[tuple[int, int, tuple[slice, slice], tuple[slice, slice]]]:
    """Row and column in the kernel, the windows, and the elements."""
    for row in range(rows.kernel):
        out_rows, in_rows = rows.tap(row)
        for column in range(columns.kernel):
            out_columns, in_columns = columns.tap(column)
            yield row, column, (out_rows, out_columns), (in_rows, in_columns)


def conv2d(call: Call) -> None:
    """bias + products, one after the other: input channel, row, column; places outside are left out."""
    call.only(_FLOAT32)
    shape, kernel = call.sizes("rshape_src"), call.sizes("rshape_kernel")
    groups = call.number("groups")
    if len(shape) != 4 or len(kernel) != 4 or not groups or shape[1] % groups or kernel[0] % groups:
        raise call.fail(f"{list(kernel)} weights in {groups} groups do not fit {list(shape)}")
    if kernel[1] < shape[1] // groups:
        raise call.fail(f"weights for {kernel[1]} of {shape[1] // groups} channels")
    rows, columns = _lines(call, shape, (kernel[2], kernel[3]))
    sizes = (shape[0], kernel[0], rows.out, columns.out)
    per_group = shape[1] // groups
    macs = elements(sizes) * per_group * kernel[2] * kernel[3]
    call.spend(macs, shape[0] * groups * per_group * kernel[2] * kernel[3])
    x = call.load("input", shape, call.shape("rstride_src"))
    weights = call.load("weights", kernel, call.shape("rstride_kernel"))
    bias = call.load("bias", kernel[:1], call.shape("rstride_bias"))
    if _apart(call, shape, kernel, sizes, groups):
        call.inexact()
    found = np.stack([_added(item, weights, bias, groups, rows, columns) for item in x])
    call.store("output", call.clamped(found), call.shape("rstride_dest"))


def _added(x: Array, weights: Array, bias: Array, groups: int, rows: Line, columns: Line) -> Array:
    """One image: (output channels, rows, columns). Groups go side by side."""
    inner, outer = x.shape[0] // groups, weights.shape[0] // groups
    total = np.broadcast_to(bias.reshape(groups, outer, 1, 1), (groups, outer, rows.out, columns.out)).astype(
        np.float32
    )
    x = x.reshape(groups, inner, *x.shape[1:])
    weights = weights.reshape(groups, outer, *weights.shape[1:])
    for channel in range(inner):
        for row, column, out, own in _taps(rows, columns):
            factor = weights[:, :, channel, row, column, None, None]
            total[:, :, out[0], out[1]] += x[:, channel, None, own[0], own[1]] * factor
    return total.reshape(-1, rows.out, columns.out)


def _apart(call: Call, shape: Shape, kernel: Shape, sizes: Shape, groups: int) -> bool:
    """Whether the runtime takes its other kernel, whose order of adding hangs on the processor. By mistake it
    compares the strides of weights and result: it does so only where both have the same inner sizes."""
    weights_strides, dense = call.shape("rstride_kernel"), row_major(kernel)
    if weights_strides != dense or dense != row_major(sizes) or call.shape("rstride_src") != row_major(shape):
        return False
    strides, dilations = (
        [call.number(f"{name}_{letter}") for letter in "hw"] for name in ("stride", "dilation")
    )
    square = kernel[2] == kernel[3] and kernel[2] in _OTHER_KERNELS
    whole = groups in (1, shape[1])
    return square and whole and dilations == [1, 1] and strides in ([1, 1], [2, 2])


def reduce_window2d(call: Call) -> None:
    """Mean, least, largest or sum of windows, from an initial value, row by row; places outside are left out,
    and the mean is over those inside."""
    call.only(_FLOAT32)
    shape = call.sizes("rshape_src")
    if len(shape) != 4:
        raise call.fail(f"it takes images, not {list(shape)}")
    rows, columns = _lines(call, shape, (call.number("filter_h"), call.number("filter_w")))
    sizes = (*shape[:2], rows.out, columns.out)
    call.spend(elements(sizes) * rows.kernel * columns.kernel, rows.kernel * columns.kernel)
    x = call.load("input", shape, call.shape("rstride_src"))
    operation = call.number("reduce_op")
    total = np.full(sizes, scalars.real(call.value("init_value")), np.float32)
    count = np.zeros(sizes[2:], np.float32)
    for _, _, out, own in _taps(rows, columns):
        part, held = x[:, :, own[0], own[1]], total[:, :, out[0], out[1]]
        count[out[0], out[1]] += 1
        if operation in (_MEAN, _SUM):
            held += part
        elif operation == _MIN:
            held[...] = np.where(part < held, part, held)
        elif operation == _MAX:
            held[...] = np.where(held < part, part, held)
        else:
            raise call.fail(f"the runtime has no operation {operation}")
    if (count == 0).any():
        raise call.fail("a window lies outside of its input")
    if operation == _MEAN:
        total /= count
    call.store("output", call.clamped(total), call.shape("rstride_dest"))
