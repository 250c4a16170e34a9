"""TimeDistributed: one layer on each step of a sequence, with the same weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from modelbuild.importers import channels_last_operators as ops
from modelbuild.importers.keras.call import CUT, Call
from modelbuild.importers.keras.variables import wrapped


def each_step(operators: Mapping[str, Callable[[Call], None]]) -> Callable[[Call], None]:
    """[N, T, ...] -> [N * T, ...], the inner layer, and back. `operators` are the layers it may be."""

    def translate(call: Call) -> None:
        inner = wrapped(call.step.layer)
        operator = None if inner is None else operators.get(inner.kind)
        if inner is None or operator is None:
            kind = "no layer" if inner is None else f"the layer {inner.kind[:60]}"
            call.fail(f"holds {kind}, which is not supported in it", advice=CUT)
        batch, steps, *rest = call.shape()
        if not rest:
            call.fail(f"has no steps in {list(call.shape())}")
        rows, made = call.scratch("steps"), call.scratch("made")
        ops.reshape(call.writer, call.input, rows, (batch * steps, *rest))
        step = replace(call.step, layer=inner, name=made, inputs=(rows,), outputs=(made,))
        operator(replace(call, step=step))
        ops.reshape(call.writer, made, call.output, (batch, steps, *call.shape(made)[1:]))

    return translate
