"""What a layer of the KPU may be: checked before anything is planned, all layers at once."""

from __future__ import annotations

from collections.abc import Iterator

from modelbuild.arithmetic.fixed_model import FixedModel, FixedOperator
from modelbuild.errors import ModelbuildError, Problem
from modelbuild.formats.kmodel.kpu_geometry import (
    LEAST,
    LOAD_BYTES,
    MOST_CHANNELS,
    MOST_LOADS,
    TALLEST,
    WIDEST,
)
from modelbuild.formats.kmodel.kpu_registers import RAM_BYTES
from modelbuild.kpu.planning.maps import LAYER, ram_bytes

SETTING = "compile.sram_bytes"  # a place that is found in a manifest
_SPLIT = "split it into layers of fewer channels, or let the CPU do it"


def check_layers(model: FixedModel, room: int, own: int = RAM_BYTES) -> None:
    """Raises ModelbuildError with every layer that the KPU cannot do, `room` bytes of RAM given, where the
    chip has `own`.

    Source: nncase v1.9.0, kpu_utils.h and the widths of the registers; docs/FAQ_EN.md."""
    problems = [
        problem
        for operator in model.operators
        if operator.kind == LAYER
        for problem in _problems(model, operator, room, own)
    ]
    if problems:
        raise ModelbuildError.of(problems)


def node(operator: FixedOperator) -> str:
    """The operator in words, with the nodes of the graph that it stands for."""
    others = [name for name in operator.origin if name != operator.name]
    return f"{operator.name!r}" + (f" (of {', '.join(others)})" if others else "")


def _problems(model: FixedModel, operator: FixedOperator, room: int, own: int) -> Iterator[Problem]:
    source, made = (model.tensors[name] for name in (operator.inputs[0], operator.outputs[0]))
    where = f"layer {node(operator)}"
    _, channels, height, width = source.shape
    for what, count in (("input", channels), ("output", made.shape[1])):
        if count > MOST_CHANNELS:
            yield Problem(
                f"it has {count} {what} channels", where, f"the KPU takes {MOST_CHANNELS} at most", _SPLIT
            )
    for what, size, most in (("high", height, TALLEST), ("wide", width, WIDEST)):
        if not LEAST <= size <= most:
            yield Problem(
                f"its input is {size} {what}",
                where,
                f"the KPU takes {LEAST} to {most}",
                "pad or cut the map before it" if size < LEAST else "take a smaller picture",
            )
    weight = model.constants[operator.constants["weight"]]
    one = weight[0].size
    at_once = LOAD_BYTES // one
    if not operator.parameters["depthwise"] and -(-len(weight) // max(1, at_once)) > MOST_LOADS:
        yield Problem(
            f"its weights have {weight.size} bytes, which {MOST_LOADS} loads do not hold",
            where,
            f"a load has {LOAD_BYTES} bytes, and {one} are one output channel's",
            _SPLIT,
        )
    needed = ram_bytes(source) + ram_bytes(made)
    if room < needed <= own:  # the settings leave too little
        yield Problem(
            f"the input and output of {where} need {needed:,} bytes of the KPU's RAM",
            SETTING,
            f"`sram_bytes` leaves {room:,}",
            f"write `sram_bytes: {needed}` or more, or remove it: the KPU has {own:,}",
        )
    elif needed > room:
        yield Problem(
            f"its input and output need {needed} bytes of the KPU's RAM",
            where,
            f"there are {room}; the input {list(source.shape)} takes {ram_bytes(source)}, the output "
            f"{list(made.shape)} {ram_bytes(made)}, in rows of 64 bytes",
            f"a smaller picture, or fewer channels; or {_SPLIT}",
        )
