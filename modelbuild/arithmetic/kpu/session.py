"""Runs fixed models of `kpu@1` and `float32`: bytes exactly, floats in the order of docs/arithmetic.md."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

from modelbuild.arithmetic import movement
from modelbuild.arithmetic.binding import Bound
from modelbuild.arithmetic.checking import check
from modelbuild.arithmetic.executing import Kernel, Session, Values
from modelbuild.arithmetic.fixed_model import FixedModel
from modelbuild.arithmetic.kpu import choosing, elementwise, images, layer, moving, sums
from modelbuild.arithmetic.kpu.validation import ARITHMETIC, RULES

KERNELS: dict[str, Callable[[Bound], Kernel]] = {
    "kpu_conv": layer.kpu_conv,
    "quantize": moving.quantize,
    "dequantize": moving.dequantize,
    "lookup": moving.lookup,
    "reshape": moving.reshape,
    "transpose": moving.transpose,
    "slice": movement.slice_axes,
    "concat": moving.concat,
    "join": moving.concat,
    "pad": moving.pad,
    "expand": moving.expand,
    "gather": movement.gather,
    "resize_nearest": images.resize_nearest,
    "binary": elementwise.binary,
    "unary": elementwise.unary,
    "sigmoid": elementwise.sigmoid,
    "conv": sums.conv,
    "matmul": sums.matmul,
    "window": sums.window,
    "reduce": sums.reduce,
    "arg": choosing.arg,
    "topk": choosing.topk,
    "convert": choosing.convert,
    "softmax": sums.softmax,
    "resize_bilinear": images.resize_bilinear,
}


class KpuSession(Session):
    """A model of `kpu@1` or `float32`, validated, with its kernels prepared; run it as often as needed."""

    def __init__(self, model: FixedModel) -> None:
        check(model, RULES.get(model.arithmetic, RULES[ARITHMETIC]))
        super().__init__(model, KERNELS)


def run(
    model: FixedModel, inputs: Mapping[str, Values], keep: Literal["outputs", "all"] = "outputs"
) -> dict[str, Values]:
    """Run the model once; see `Session`."""
    return KpuSession(model).run(inputs, keep)
