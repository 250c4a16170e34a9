"""ONNX operator -> the function that emits its fixed-point operators into an `Assembly`."""

from __future__ import annotations

from collections.abc import Callable

from modelbuild.quantize.assembly import Assembly
from modelbuild.quantize.builders import (
    border,
    elementwise,
    movement,
    pooling,
    products,
    reduction,
    resize,
    unary,
)

Builder = Callable[[Assembly], None]

BUILDERS: dict[str, Builder] = {
    **products.BUILDERS,
    **elementwise.BUILDERS,
    **unary.BUILDERS,
    **pooling.BUILDERS,
    **reduction.BUILDERS,
    **movement.BUILDERS,
    **resize.BUILDERS,
    **border.BUILDERS,
}
