"""Setups: what all tiles of one layer share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from modelbuild.npu.program.encoding import Instruction, element_type, encoded, extent, integer, small, stage


@dataclass(frozen=True, slots=True)
class ConvolutionSetup(Instruction):
    """What all tiles of a convolution share. Columns outside the picture contribute 0; between neighbouring
    cells of the input lie `input_step` - 1 that do so too."""

    opcode: ClassVar[int] = 0x20
    input_type: int = element_type()
    weight_type: int = encoded("B", 1, 3)
    output_type: int = element_type()
    kernel_height: int = small()
    kernel_width: int = small()
    stride_height: int = small()
    stride_width: int = small()
    dilation_height: int = small()
    dilation_width: int = small()
    input_step_height: int = small()
    input_step_width: int = small()
    pad_left: int = encoded("H", 0, 2**16 - 1)
    input_width: int = extent()
    output_width: int = extent()
    group_inputs: int = extent()
    input_zero: int = integer()
    output_zero: int = integer()
    low: int = integer()
    high: int = integer()


@dataclass(frozen=True, slots=True)
class MaxPoolSetup(Instruction):
    """What all tiles of a max pooling share."""

    opcode: ClassVar[int] = 0x22
    input_type: int = element_type()
    kernel_height: int = small()
    kernel_width: int = small()
    stride_height: int = small()
    stride_width: int = small()
    dilation_height: int = small()
    dilation_width: int = small()
    pad_left: int = encoded("H", 0, 2**16 - 1)
    input_width: int = extent()
    output_width: int = extent()
    low: int = integer()
    high: int = integer()


@dataclass(frozen=True, slots=True)
class AveragePoolSetup(Instruction):
    """What all tiles of an average pooling share. `entries` divisors lie at a tile's `parameters`."""

    opcode: ClassVar[int] = 0x24
    input_type: int = element_type()
    output_type: int = element_type()
    include_padding: int = encoded("B", 0, 1)
    kernel_height: int = small()
    kernel_width: int = small()
    stride_height: int = small()
    stride_width: int = small()
    pad_left: int = encoded("H", 0, 2**16 - 1)
    input_width: int = extent()
    output_width: int = extent()
    counted_width: int = extent()
    entries: int = small()
    input_zero: int = integer()
    output_zero: int = integer()
    low: int = integer()
    high: int = integer()


@dataclass(frozen=True, slots=True)
class BinarySetup(Instruction):
    """Addition (`function` 0) or multiplication (1) of two tensors. Bits of `broadcast`: input axis 0, 1, 2,
    other axis 0, 1, 2; a set bit means that the operand has extent 1 there."""

    opcode: ClassVar[int] = 0x26
    function: int = encoded("B", 0, 1)
    input_type: int = element_type()
    other_type: int = element_type()
    output_type: int = element_type()
    broadcast: int = encoded("B", 0, 63)
    input_zero: int = integer()
    other_zero: int = integer()
    output_zero: int = integer()
    low: int = integer()
    high: int = integer()


@dataclass(frozen=True, slots=True)
class RescaleSetup(Instruction):
    """What all tiles of a rescaling share."""

    opcode: ClassVar[int] = 0x28
    input_type: int = element_type()
    output_type: int = element_type()
    input_zero: int = integer()
    output_zero: int = integer()
    low: int = integer()
    high: int = integer()
    stage: int = stage()


@dataclass(frozen=True, slots=True)
class TableSetup(Instruction):
    """What all tiles of a table look-up share."""

    opcode: ClassVar[int] = 0x2A
    input_type: int = encoded("B", 0, 1)
    output_type: int = element_type()
    input_low: int = integer()
    stage: int = stage()


@dataclass(frozen=True, slots=True)
class CurveSetup(Instruction):
    """What all tiles of a curve share; `segments` of 2^`segment_bits` integers each, the first at `start`."""

    opcode: ClassVar[int] = 0x36
    input_type: int = encoded("B", 2, 3)
    output_type: int = element_type()
    segment_bits: int = encoded("B", 4, 14)
    segments: int = small()
    start: int = integer()
    output_zero: int = integer()
    low: int = integer()
    high: int = integer()
    stage: int = stage()


@dataclass(frozen=True, slots=True)
class MatmulSetup(Instruction):
    """What all tiles of a product of two tensors share."""

    opcode: ClassVar[int] = 0x2C
    input_type: int = element_type()
    other_type: int = element_type()
    output_type: int = element_type()
    inner: int = extent()
    input_zero: int = integer()
    other_zero: int = integer()
    output_zero: int = integer()
    low: int = integer()
    high: int = integer()


@dataclass(frozen=True, slots=True)
class ReduceSumSetup(Instruction):
    """What all tiles of a sum share."""

    opcode: ClassVar[int] = 0x2E
    input_type: int = element_type()
    output_type: int = element_type()
    length: int = extent()
    input_zero: int = integer()
    output_zero: int = integer()
    low: int = integer()
    high: int = integer()


@dataclass(frozen=True, slots=True)
class ReduceMaxSetup(Instruction):
    """What all tiles of a maximum share."""

    opcode: ClassVar[int] = 0x30
    input_type: int = element_type()
    length: int = extent()


@dataclass(frozen=True, slots=True)
class SoftmaxSetup(Instruction):
    """What all tiles of a softmax share."""

    opcode: ClassVar[int] = 0x32
    input_type: int = element_type()
    output_type: int = element_type()
    length: int = extent()
    output_zero: int = integer()
    low: int = integer()
    high: int = integer()


@dataclass(frozen=True, slots=True)
class ResizeSetup(Instruction):
    """What all tiles of a bilinear resize share."""

    opcode: ClassVar[int] = 0x34
    input_type: int = element_type()
    input_width: int = extent()
    output_width: int = extent()
    zero: int = integer()
    low: int = integer()
    high: int = integer()
