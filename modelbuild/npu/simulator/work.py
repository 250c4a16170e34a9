"""Cycles of one instruction, from its decoded fields and the header's rates (docs/program-format.md)."""

from __future__ import annotations

from modelbuild.npu.program import ElementType, Rates
from modelbuild.npu.program.header import RATE_CYCLES
from modelbuild.npu.program.setups import ConvolutionSetup, MatmulSetup
from modelbuild.npu.program.tiles import Convolution, Matmul


def cycles(work: int, rate: int) -> int:
    """Whole cycles of `work` at so much in RATE_CYCLES cycles."""
    return -(-work * RATE_CYCLES // rate)


def round_up(value: int, multiple: int) -> int:
    """The next multiple."""
    return -(-value // multiple) * multiple


def convolution_cycles(tile: Convolution, setup: ConvolutionSetup, rates: Rates) -> int:
    """The array's work with all that it rounds up, but no less than what it takes to write the outputs."""
    single = setup.kernel_height == setup.kernel_width == 1
    taps = (
        1
        if single
        else round_up(setup.kernel_height, rates.window_rows)
        * round_up(setup.kernel_width, rates.window_columns)
    )
    pixels = round_up(tile.output_rows * round_up(setup.output_width, rates.columns), rates.pixels)
    channels = tile.groups * tile.group_outputs
    if setup.group_inputs == 1 and (tile.groups > 1 or tile.group_outputs == 1):
        rate = rates.macs_depthwise
        work = pixels * taps * round_up(channels, rates.output_channels)
    else:
        rate = rates.macs_pointwise if single else rates.macs
        at_once = rates.input_channels
        if setup.group_inputs <= rates.few_channels:
            at_once = min(at_once, rates.few_channels)
        inputs = round_up(setup.group_inputs, at_once)
        outputs = round_up(tile.group_outputs, rates.output_channels)
        work = pixels * taps * inputs * outputs * tile.groups
    rate = _narrowed(rate, rates, setup.input_type, setup.weight_type)
    return max(cycles(work, rate), cycles(channels * tile.output_rows * setup.output_width, rates.outputs))


def matmul_cycles(tile: Matmul, setup: MatmulSetup, rates: Rates) -> int:
    """Products of whole matrices; nothing is rounded up."""
    outputs = tile.rows * tile.columns
    rate = _narrowed(rates.macs_pointwise, rates, setup.input_type, setup.other_type)
    return max(cycles(outputs * setup.inner, rate), cycles(outputs, rates.outputs))


def _narrowed(rate: int, rates: Rates, *operands: int) -> int:
    """What remains of a rate where an operand has 16 bits."""
    if max(ElementType(operand).size for operand in operands) == 1:
        return rate
    return max(1, rate * rates.wide_macs // RATE_CYCLES)
