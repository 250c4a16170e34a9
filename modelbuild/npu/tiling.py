"""How large a step of a layer can be so that it fits in SRAM, and which of those that fit is fastest."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from modelbuild.npu.memory import align
from modelbuild.npu.program import Rates
from modelbuild.npu.program.header import RATE_CYCLES
from modelbuild.npu.timeline import cycles_of

Box = tuple[int, ...]


def up(value: int, multiple: int) -> int:
    """The next multiple."""
    return -(-value // multiple) * multiple


class DoesNotFit(Exception):
    """The smallest possible step needs `needed` bytes of SRAM."""

    def __init__(self, needed: int) -> None:
        super().__init__(needed)
        self.needed = needed


def largest_box(extents: Sequence[int], size_of: Callable[[Box], int], limit: int) -> Box:
    """The largest box whose `size_of` is within `limit`, cut along the outermost axes first."""
    box = list(extents)
    for axis in range(len(box)):
        if size_of(tuple(box)) <= limit:
            break
        low, high = 1, box[axis]
        while low < high:
            middle = (low + high + 1) // 2
            box[axis] = middle
            low, high = (middle, high) if size_of(tuple(box)) <= limit else (low, middle - 1)
        box[axis] = low
        if low > 1:  # equal steps rather than a small last one
            steps = -(-extents[axis] // low)
            box[axis] = -(-extents[axis] // steps)
    needed = size_of(tuple(box))
    if needed > limit:
        raise DoesNotFit(needed)
    return tuple(box)


@dataclass(frozen=True)
class StripPlan:
    """A step of a streamed layer and how many buffers each of its operands has."""

    box: Box
    buffers: int


def plan_strips(
    extents: Sequence[int], size_of: Callable[[Box], int], fixed: int, capacity: int, pieces: int = 8
) -> StripPlan:
    """A step of a layer that is read, computed and written in one stream.

    `size_of` is the bytes of one set of buffers, `fixed` what stays in SRAM. Two sets where they fit, so that
    transfers and computation overlap, in about `pieces` steps.
    """
    room = capacity - fixed
    whole = size_of(tuple(extents))
    wish = max(align(whole // pieces), 1024)
    for limit in (min(room // 2, wish), room // 2):
        try:
            box = largest_box(extents, size_of, limit)
        except DoesNotFit:
            continue
        return StripPlan(box, 1 if box == tuple(extents) else 2)
    try:
        return StripPlan(largest_box(extents, size_of, room), 1)
    except DoesNotFit as error:
        raise DoesNotFit(error.needed + fixed) from None


def boxes(extents: Sequence[int], box: Sequence[int]) -> Iterator[tuple[Box, Box]]:
    """The starts and extents of the steps, in row-major order."""
    ranges = [range(0, extent, step) for extent, step in zip(extents, box, strict=True)]
    for starts in itertools.product(*ranges):
        yield (
            starts,
            tuple(
                min(step, extent - start) for start, step, extent in zip(starts, box, extents, strict=True)
            ),
        )


def window_span(rows: int, stride: int, dilation: int, kernel: int) -> int:
    """Rows of the picture that `rows` rows of output look at."""
    return (rows - 1) * stride + (kernel - 1) * dilation + 1


@dataclass(frozen=True)
class ConvolutionShape:
    """What decides the tiling of a convolution. Sizes of elements in bytes."""

    batch: int
    groups: int
    group_inputs: int
    group_outputs: int
    input_height: int
    input_width: int
    output_height: int
    output_width: int
    kernel_height: int
    kernel_width: int
    stride_height: int
    dilation_height: int
    input_bytes: int
    weight_bytes: int
    output_bytes: int

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the layer."""
        kernel = self.kernel_height * self.kernel_width
        outputs = self.groups * self.group_outputs * self.output_height * self.output_width
        return self.batch * outputs * self.group_inputs * kernel

    def input_rows(self, rows: int) -> int:
        """Rows of input that a tile of so many rows of output can need."""
        span = window_span(rows, self.stride_height, self.dilation_height, self.kernel_height)
        return min(self.input_height, span)

    def rate(self, rates: Rates, groups: int, group_outputs: int) -> int:
        """Multiply-accumulates in RATE_CYCLES cycles of a tile with so many channels."""
        if self.group_inputs == 1 and (groups > 1 or group_outputs == 1):
            return rates.macs_depthwise
        return rates.macs_pointwise if self.kernel_height == self.kernel_width == 1 else rates.macs

    def cycles(self, rates: Rates, groups: int, group_outputs: int, rows: int) -> int:
        """Cycles of a tile of so many channels and rows of output (docs/program-format.md)."""
        channels = groups * group_outputs
        single = self.kernel_height == self.kernel_width == 1
        taps = up(self.kernel_height, rates.window_rows) * up(self.kernel_width, rates.window_columns)
        work = up(rows * up(self.output_width, rates.columns), rates.pixels) * (1 if single else taps)
        if self.group_inputs == 1 and (groups > 1 or group_outputs == 1):
            work *= up(channels, rates.output_channels)
        else:
            few = min(4, rates.input_channels) if self.group_inputs <= 4 else rates.input_channels
            work *= up(self.group_inputs, few) * up(group_outputs, rates.output_channels) * groups
        rate = self.rate(rates, groups, group_outputs)
        if max(self.input_bytes, self.weight_bytes) == 2:
            rate = max(1, rate * rates.wide_macs // RATE_CYCLES)
        return max(cycles_of(work, rate), cycles_of(channels * rows * self.output_width, rates.outputs))


@dataclass(frozen=True)
class ConvolutionTiling:
    """A tile: `groups` whole groups (or one, of which `group_outputs` channels) by `rows` rows of output.

    `channels_outer`: weights stay while the rows pass; otherwise the rows stay while the weights pass.
    """

    rows: int
    groups: int
    group_outputs: int
    channels_outer: bool
    input_buffers: int
    weight_buffers: int
    output_buffers: int
    input_size: int
    weight_size: int
    output_size: int

    @property
    def sram(self) -> int:
        """Bytes of all buffers."""
        return (
            self.input_buffers * self.input_size
            + self.weight_buffers * self.weight_size
            + self.output_buffers * self.output_size
        )


RECORD_BYTES = 9  # bias, multiplier and shift of one channel
STEP_CYCLES = 256  # what a further step must save to be worth its instructions


def plan_convolution(shape: ConvolutionShape, capacity: int, rates: Rates) -> ConvolutionTiling:
    """The tiling of least estimated time that fits; of equals that with least traffic, then fewest tiles."""
    best: tuple[tuple[int, int, int], ConvolutionTiling] | None = None
    smallest: int | None = None
    row_choices = _parts(shape.output_height)
    for rows, (groups, outputs) in itertools.product(row_choices, _channel_choices(shape)):
        for channels_outer, double in itertools.product((True, False), (True, False)):
            tiling, cost = _evaluate(shape, rows, groups, outputs, channels_outer, double, rates)
            smallest = tiling.sram if smallest is None else min(smallest, tiling.sram)
            if tiling.sram <= capacity and (best is None or cost < best[0]):
                best = cost, tiling
    if best is None:
        assert smallest is not None
        raise DoesNotFit(smallest)
    return best[1]


def _parts(extent: int) -> list[int]:
    """Sizes of equal parts, few enough to try all: 1, 2, 3, 4, 6, 8, 12 ... parts, down to single ones."""
    counts = {1, extent}
    for power in itertools.takewhile(lambda value: value <= extent, (1 << bit for bit in range(31))):
        counts |= {power, min(extent, power + power // 2)}
    return sorted({-(-extent // count) for count in counts}, reverse=True)


def _channel_choices(shape: ConvolutionShape) -> list[tuple[int, int]]:
    whole = [(groups, shape.group_outputs) for groups in _parts(shape.groups)]
    within = [(1, outputs) for outputs in _parts(shape.group_outputs) if outputs < shape.group_outputs]
    return whole + within


def _evaluate(
    shape: ConvolutionShape,
    rows: int,
    groups: int,
    outputs: int,
    channels_outer: bool,
    double: bool,
    rates: Rates,
) -> tuple[ConvolutionTiling, tuple[int, int, int]]:
    per_group = -(-shape.group_outputs // outputs)
    group_tiles = -(-shape.groups // groups)
    channel_tiles = group_tiles * per_group
    row_tiles = shape.batch * -(-shape.output_height // rows)
    input_size, weight_size, output_size = _tile_sizes(shape, rows, groups, outputs)
    input_loads = row_tiles * group_tiles * (per_group if channels_outer and row_tiles > 1 else 1)
    weight_loads = channel_tiles * (1 if channels_outer or channel_tiles == 1 else row_tiles)
    tiles = row_tiles * channel_tiles
    tiling = ConvolutionTiling(
        rows,
        groups,
        outputs,
        channels_outer,
        2 if double and input_loads > 1 else 1,
        2 if double and weight_loads > 1 else 1,
        2 if double and tiles > 1 else 1,
        input_size,
        weight_size,
        output_size,
    )
    moved = input_loads * input_size, tiles * output_size, weight_loads * weight_size
    times = (
        -(-shape.macs * RATE_CYCLES // shape.rate(rates, groups, outputs)),
        *_transfer_cycles(moved, rates),
    )
    longest, total = max(times), sum(times)
    time = longest + math.ceil((total - longest) / tiles) if double else total
    return tiling, (time + STEP_CYCLES * tiles, sum(moved), tiles)


def _tile_sizes(shape: ConvolutionShape, rows: int, groups: int, outputs: int) -> tuple[int, int, int]:
    """Bytes in SRAM of a tile's input, weights and output."""
    kernel = shape.group_inputs * shape.kernel_height * shape.kernel_width
    lines = groups * shape.group_inputs * shape.input_rows(rows)
    return (
        align(lines * shape.input_width * shape.input_bytes),
        align(groups * outputs * (kernel * shape.weight_bytes + RECORD_BYTES)),
        align(groups * outputs * rows * shape.output_width * shape.output_bytes),
    )


def _transfer_cycles(moved: tuple[int, int, int], rates: Rates) -> tuple[int, int, int]:
    """The cycles of reading, writing and loading weights, for so many bytes of each."""
    read, write, weight = moved
    return (
        -(-read * RATE_CYCLES // rates.read_bytes),
        -(-write * RATE_CYCLES // rates.write_bytes),
        -(-weight * RATE_CYCLES // rates.weight_bytes),
    )
