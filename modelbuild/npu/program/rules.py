"""What must hold between the fields of one instruction, beyond each field's own range."""

from __future__ import annotations

from modelbuild.npu.program.encoding import ElementType, Instruction
from modelbuild.npu.program.setups import ConvolutionSetup, CurveSetup
from modelbuild.npu.program.tiles import Binary, Convolution
from modelbuild.npu.program.transfers import RAW, LoadConstants, Loop, Store, Transfer

# field -> the fields that may hold its type; the first that the instruction has counts
_TYPED = {
    "value": ("output_type",),
    "input_zero": ("input_type",),
    "other_zero": ("other_type",),
    "output_zero": ("output_type",),
    "zero": ("input_type",),
    "low": ("output_type", "input_type"),
    "high": ("output_type", "input_type"),
    "input_low": ("input_type",),
}


def broken_rule(instruction: Instruction) -> str:
    """What is wrong with the instruction, or an empty string."""
    if isinstance(instruction, Transfer):
        return _broken_transfer(instruction)
    return (
        _broken_value(instruction)
        or _broken_window(instruction)
        or _broken_curve(instruction)
        or _broken_rows(instruction)
    )


def _broken_value(instruction: Instruction) -> str:
    for name, holders in _TYPED.items():
        value = getattr(instruction, name, None)
        if value is None:
            continue
        kind = ElementType(
            next(getattr(instruction, holder) for holder in holders if hasattr(instruction, holder))
        )
        if not kind.low <= value <= kind.high:
            return f"{name} is {value}, which {kind.name} cannot hold"
    if getattr(instruction, "low", 0) > getattr(instruction, "high", 0):
        return "low is above high"
    return ""


def _broken_window(instruction: Instruction) -> str:
    if isinstance(instruction, ConvolutionSetup) and instruction.weight_type == ElementType.U16:
        return "weights are signed"
    for axis in ("height", "width"):
        if (
            getattr(instruction, f"kernel_{axis}", 2) == 1
            and getattr(instruction, f"dilation_{axis}", 1) != 1
        ):
            return f"a kernel of {axis} 1 has no dilation"
    if getattr(instruction, "output_width", 2) == 1 and getattr(instruction, "stride_width", 1) != 1:
        return "an output of width 1 has no stride"
    return ""


def _broken_rows(tile: Instruction) -> str:
    """Of the rows of each operand. Those of a binary operation's inputs depend on its setup."""
    if isinstance(tile, Convolution) and not tile.input_rows:
        unused = (tile.input, tile.input_slots, tile.input_first) == (0, 1, 0)
        return _broken_slots(tile, "output") or ("" if unused else "a convolution of no rows has an input")
    return next(filter(None, (_broken_slots(tile, name) for name in ("input", "other", "output"))), "")


def _broken_slots(tile: Instruction, operand: str) -> str:
    slots = getattr(tile, f"{operand}_slots", None)
    if slots is None:
        return ""
    if getattr(tile, f"{operand}_first") >= slots:
        return f"{operand}_first is not one of {slots} slots"
    alone = isinstance(tile, Binary) and operand != "output"
    rows = 0 if alone else getattr(tile, f"{operand}_rows", getattr(tile, "rows", 0))
    return f"{rows} rows of {operand} in {slots} slots" if rows > slots else ""


def _broken_curve(setup: Instruction) -> str:
    if not isinstance(setup, CurveSetup):
        return ""
    kind, size = ElementType(setup.input_type), 1 << setup.segment_bits
    if not kind.low - size < setup.start <= kind.low:
        return f"the first segment does not hold the smallest {kind.name}"
    if setup.segments != (kind.high - setup.start) // size + 1:
        return f"{setup.segments} segments do not end with that of the largest {kind.name}"
    return ""


def _broken_transfer(transfer: Transfer) -> str:
    if isinstance(transfer, LoadConstants):
        if transfer.codec == RAW and transfer.stored != transfer.length:
            return f"{transfer.stored} raw bytes become {transfer.length}"
        if transfer.codec != RAW and transfer.loops:
            return "packed constants are loaded in a loop"
    strides = [(loop.count, _written_stride(transfer, loop)) for loop in transfer.loops]
    if any(count < 2 for count, _ in strides):
        return "a loop of a transfer runs fewer than two times"
    extent = transfer.length
    for count, stride in sorted(strides, key=lambda item: item[1]):
        if stride < extent:
            return "a transfer writes over itself"
        extent = stride * (count - 1) + extent
    return ""


def _written_stride(transfer: Transfer, loop: Loop) -> int:
    return loop.dram_stride if isinstance(transfer, Store) else loop.sram_stride
