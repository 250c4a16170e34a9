"""What must hold between the fields of one instruction, beyond each field's own range."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any

from modelbuild.npu.program.encoding import ElementType, Instruction
from modelbuild.npu.program.instructions import INSTRUCTIONS
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
    for rule in _RULES[type(instruction)]:
        problem = rule(instruction)
        if problem:
            return problem
    return ""


Rule = Callable[[Any], str]


def _rules(kind: type[Instruction]) -> tuple[Rule, ...]:
    """The rules for one kind of instruction."""
    names = {item.name for item in fields(kind)}
    rules: list[Rule] = []
    for name, holders in _TYPED.items():
        if name in names:
            rules.append(_value_rule(name, next(holder for holder in holders if holder in names)))
    if "low" in names:
        rules.append(_order_rule)
    rules += [_dilation_rule(axis) for axis in ("height", "width") if f"dilation_{axis}" in names]
    if "output_width" in names:
        rules.append(_stride_rule)
    rules += [rule for only, rule in _ALONE if kind is only]
    for operand in ("input", "other", "output"):
        if f"{operand}_slots" in names:
            alone = kind is Binary and operand != "output"  # the rows depend on the setup
            rows = f"{operand}_rows" if f"{operand}_rows" in names else "rows"
            rules.append(_slots_rule(operand, None if alone else rows))
    return tuple(rules)


def _value_rule(name: str, holder: str) -> Rule:
    def rule(setup: Any) -> str:
        value, kind = getattr(setup, name), ElementType(getattr(setup, holder))
        return "" if kind.low <= value <= kind.high else f"{name} is {value}, which {kind.name} cannot hold"

    return rule


def _order_rule(setup: Any) -> str:
    return "low is above high" if setup.low > setup.high else ""


def _dilation_rule(axis: str) -> Rule:
    kernel, dilation = f"kernel_{axis}", f"dilation_{axis}"

    def rule(setup: Any) -> str:
        alone = getattr(setup, kernel) == 1 and getattr(setup, dilation) != 1
        return f"a kernel of {axis} 1 has no dilation" if alone else ""

    return rule


def _stride_rule(setup: Any) -> str:
    stride = getattr(setup, "stride_width", 1)
    return "an output of width 1 has no stride" if setup.output_width == 1 and stride != 1 else ""


def _slots_rule(operand: str, rows: str | None) -> Rule:
    slots_name, first_name = f"{operand}_slots", f"{operand}_first"

    def rule(tile: Any) -> str:
        slots = getattr(tile, slots_name)
        if getattr(tile, first_name) >= slots:
            return f"{first_name} is not one of {slots} slots"
        count = getattr(tile, rows) if rows else 0
        return f"{count} rows of {operand} in {slots} slots" if count > slots else ""

    return rule


def _weights_rule(setup: ConvolutionSetup) -> str:
    return "weights are signed" if setup.weight_type == ElementType.U16 else ""


def _nothing_rule(tile: Convolution) -> str:
    used = (tile.input, tile.input_slots, tile.input_first) != (0, 1, 0)
    return "a convolution of no rows has an input" if not tile.input_rows and used else ""


def _curve_rule(setup: CurveSetup) -> str:
    kind, size = ElementType(setup.input_type), 1 << setup.segment_bits
    if not kind.low - size < setup.start <= kind.low:
        return f"the first segment does not hold the smallest {kind.name}"
    if setup.segments != (kind.high - setup.start) // size + 1:
        return f"{setup.segments} segments do not end with that of the largest {kind.name}"
    return ""


_ALONE: tuple[tuple[type[Instruction], Rule], ...] = (
    (ConvolutionSetup, _weights_rule),
    (CurveSetup, _curve_rule),
    (Convolution, _nothing_rule),
)

_RULES = {kind: _rules(kind) for kind in INSTRUCTIONS.values()}


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
