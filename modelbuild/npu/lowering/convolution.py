"""Convolutions and fully connected layers: tiles of output rows by output channels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelbuild.arithmetic.fixed_model import Integers
from modelbuild.npu.emitting.work import ConvolutionTile, convolution_cycles
from modelbuild.npu.lowering.operation import SHIFT, Operation, packed
from modelbuild.npu.lowering.tiles import Held, Slab, Tiles
from modelbuild.npu.lowering.windows import RowWindow
from modelbuild.npu.planning.plan import Region
from modelbuild.npu.planning.weights import CHANNEL_BYTES, weight_bytes
from modelbuild.npu.program import ElementType, Rates
from modelbuild.npu.program.setups import ConvolutionSetup
from modelbuild.npu.program.tiles import Convolution


@dataclass(frozen=True)
class _Shape:
    """What decides the tiles of a convolution, along the height where a pair has both axes."""

    groups: int
    group_inputs: int
    group_outputs: int
    kernel: tuple[int, int]
    strides: tuple[int, int]
    dilations: tuple[int, int]
    steps: tuple[int, int]
    pads: tuple[int, ...]
    input: tuple[int, int]
    output: tuple[int, int]


class ConvolutionTiles(Tiles):
    """A tile is of whole groups of output channels, or of a part of one group's."""

    def __init__(self, operation: Operation, shape: _Shape, weight: Integers) -> None:
        super().__init__(operation)
        self._shape = shape
        self._weight = weight
        self._weight_type = _weight_type(operation, weight)
        self._window = RowWindow(
            shape.kernel[0],
            shape.strides[0],
            shape.dilations[0],
            shape.pads[0],
            shape.input[0],
            shape.steps[0],
        )
        self._setup = self._make_setup()
        self._records = _records(operation, self._wide, shape.groups * shape.group_outputs)
        self._filter_bytes = weight[0].size * self._weight_type.size

    @property
    def _wide(self) -> bool:
        return max(self.operation.inputs[0].type.size, self._weight_type.size) == 2

    def _make_setup(self) -> ConvolutionSetup:
        operation, shape = self.operation, self._shape
        return ConvolutionSetup(
            input_type=operation.inputs[0].type,
            weight_type=self._weight_type,
            output_type=operation.output.type,
            kernel_height=shape.kernel[0],
            kernel_width=shape.kernel[1],
            stride_height=1 if shape.output[0] == 1 else shape.strides[0],
            stride_width=1 if shape.output[1] == 1 else shape.strides[1],
            dilation_height=shape.dilations[0],
            dilation_width=shape.dilations[1],
            input_step_height=shape.steps[0],
            input_step_width=shape.steps[1],
            pad_left=shape.pads[1],
            input_width=shape.input[1],
            output_width=shape.output[1],
            group_inputs=shape.group_inputs,
            input_zero=operation.integer("input_zero"),
            output_zero=operation.integer("output_zero"),
            low=operation.integer("low"),
            high=operation.integer("high"),
        )

    def setup(self, region: Region) -> ConvolutionSetup:
        return self._setup

    def _channels(self, region: Region) -> tuple[int, int, int, int]:
        """Image, first output channel in it, first group, groups."""
        shape = self._shape
        image, channel = divmod(region.plane, shape.groups * shape.group_outputs)
        group = channel // shape.group_outputs
        return image, channel, group, max(1, region.planes // shape.group_outputs)

    def needs(self, region: Region) -> tuple[Region, ...]:
        shape = self._shape
        image, _, group, groups = self._channels(region)
        low, high, _ = self._window.rows(region.row, region.rows)
        plane = (image * shape.groups + group) * shape.group_inputs
        name = self.operation.operator.inputs[0]
        return (Region(name, plane, groups * shape.group_inputs, low, high - low),)

    def tile(
        self, region: Region, needs: Sequence[Region], inputs: Sequence[Slab], output: Slab, held: Held
    ) -> Convolution:
        need, source = needs[0], inputs[0]
        _, _, _, groups = self._channels(region)
        self._check_parts(region, held)
        seen = need.rows > 0
        return Convolution(
            input=source.address if seen else 0,
            input_slots=source.slots if seen else 1,
            input_first=source.first if seen else 0,
            weights=held.address,
            output=output.address,
            output_slots=output.slots,
            output_first=output.first,
            groups=groups,
            group_outputs=region.planes // groups,
            input_rows=need.rows,
            output_rows=region.rows,
            pad_top=self._window.rows(region.row, region.rows)[2],
        )

    def _check_parts(self, region: Region, held: Held) -> None:
        shape, whole = self._shape, self._shape.groups * self._shape.group_outputs
        first = region.plane % whole
        part = first % shape.group_outputs
        fits = first + region.planes <= whole and (
            (part == 0 and region.planes % shape.group_outputs == 0)
            or part + region.planes <= shape.group_outputs
        )
        assert fits, region
        assert (held.region.plane % whole, held.region.planes) == (first, region.planes), (held, region)

    def cycles(self, region: Region, needs: Sequence[Region], rates: Rates) -> int:
        shape = self._shape
        groups = max(1, region.planes // shape.group_outputs)
        tile = ConvolutionTile(
            *shape.kernel,
            groups=groups,
            group_inputs=shape.group_inputs,
            group_outputs=region.planes // groups,
            rows=region.rows,
            columns=shape.output[1],
            wide=self._wide,
        )
        return convolution_cycles(tile, rates)

    def constant_key(self, region: Region) -> tuple[int, ...]:
        return region.plane % (self._shape.groups * self._shape.group_outputs), region.planes

    def constants(self, region: Region) -> bytes:
        first, count = self.constant_key(region)
        narrow = "<i2" if self._weight_type.size == 2 else "i1"
        filters = np.ascontiguousarray(self._weight[first : first + count], dtype=narrow)
        return filters.tobytes() + self._records[first : first + count].tobytes()

    def constant_reads(self, region: Region, held: Held) -> tuple[tuple[int, int], ...]:
        return ((held.address, region.planes * (self._filter_bytes + CHANNEL_BYTES)),)

    def chunks(self, planes: int) -> list[tuple[int, int]]:
        each, whole = self._shape.group_outputs, self._shape.groups * self._shape.group_outputs
        if planes >= each:
            step = planes // each * each
            return [(first, min(step, whole - first)) for first in range(0, whole, step)]
        starts = (group + first for group in range(0, whole, each) for first in range(0, each, planes))
        return [(first, min(planes, each - first % each)) for first in starts]


def convolution_tiles(operation: Operation) -> Tiles:
    """`conv`: x [N, C, H, W], weight [O, C/g, kh, kw]; `input_step` puts zeros between the cells of x."""
    source, target = operation.inputs[0].tensor.shape, operation.output.tensor.shape
    operation.check(len(source) == 4 == len(target), "conv needs tensors of rank 4")
    groups = operation.integer("group")
    weight = operation.raw_constant("weight", (target[1], None, None, None))
    outputs, group_inputs, *kernel = weight.shape
    operation.check(
        groups > 0 and group_inputs * groups == source[1], "weight and group do not fit the input"
    )
    operation.check(outputs % groups == 0, "the output channels are not a multiple of group")
    strides, dilations = operation.integers("strides", 2), list(operation.integers("dilations", 2))
    pads = operation.integers("pads", 4)
    steps = operation.integers("input_step", 2) if "input_step" in operation.operator.parameters else (1, 1)
    operation.check(min(pads) >= 0, "pads must not be negative")
    for axis in (0, 1):
        dilations[axis] = 1 if kernel[axis] == 1 else dilations[axis]
        padded = (source[2 + axis] - 1) * steps[axis] + 1 + pads[axis] + pads[2 + axis]
        wanted = (padded - dilations[axis] * (kernel[axis] - 1) - 1) // strides[axis] + 1
        operation.check(target[2 + axis] == wanted, "the output's shape is wrong")
    operation.check(target[0] == source[0], "the output's batch is not the input's")
    shape = _Shape(
        groups,
        group_inputs,
        outputs // groups,
        (kernel[0], kernel[1]),
        (strides[0], strides[1]),
        (dilations[0], dilations[1]),
        (steps[0], steps[1]),
        pads,
        (source[2], source[3]),
        (target[2], target[3]),
    )
    return ConvolutionTiles(operation, shape, weight)


def gemm_tiles(operation: Operation) -> Tiles:
    """`gemm`: x [N, K], weight [O, K]; a convolution of one pixel."""
    source, target = operation.inputs[0].tensor.shape, operation.output.tensor.shape
    operation.check(len(source) == 2 == len(target), "gemm needs tensors of rank 2")
    weight = operation.raw_constant("weight", (target[1], source[1]))
    operation.check(target[0] == source[0], "the output's batch is not the input's")
    point = (1, 1)
    shape = _Shape(1, source[1], target[1], point, point, point, point, (0, 0, 0, 0), point, point)
    return ConvolutionTiles(operation, shape, weight)


def _weight_type(operation: Operation, weight: Integers) -> ElementType:
    kind = ElementType.I8 if weight_bytes(weight) == 1 else ElementType.I16
    known = weight.dtype in (np.int8, np.int16)
    fits = known or (kind.low <= int(weight.min()) and int(weight.max()) <= kind.high)
    operation.check(fits, "weights do not fit 16 bits")
    return kind


def _records(operation: Operation, wide: bool, outputs: int) -> NDArray[np.uint8]:
    """Bias, multiplier and shift of each output channel; accumulators of 16-bit operands have 48 bits."""
    bias_bytes, multiplier_bytes = (6, 2) if wide else (4, 4)
    bias_limit, multiplier_limit = 1 << (8 * bias_bytes - 1), 1 << (8 * multiplier_bytes - 1)
    bias, multiplier, shift = (
        operation.constant(role, (outputs,)) for role in ("bias", "multiplier", "shift")
    )
    columns = {
        "bias": (bias, bias_bytes, -bias_limit, bias_limit - 1),
        "multiplier": (multiplier, multiplier_bytes, 1 - multiplier_limit, multiplier_limit - 1),
        "shift": (shift, 1, *SHIFT),
    }
    return packed(operation, columns)
