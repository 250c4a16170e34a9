"""What several importers write out in the same way: GELU, and TensorFlow's SAME padding."""

from __future__ import annotations

import math
from typing import Protocol


class Make(Protocol):
    """Writes the node `op` on `inputs`; the name of what it makes."""

    def __call__(self, op: str, *inputs: str) -> str: ...


class Number(Protocol):
    """A constant of one float32; its name."""

    def __call__(self, value: float, /) -> str: ...


def gelu_factors(make: Make, number: Number, x: str, approximate: bool) -> tuple[str, str]:
    """The two factors of GELU: x / 2, and 1 + erf(x / sqrt 2) or, to approximate that, 1 + tanh(sqrt(2 / pi)
    (x + 0.044715 x^3)). Source: Hendrycks and Gimpel, Gaussian Error Linear Units, 2016."""
    if approximate:
        cube = make("Mul", make("Mul", x, x), x)
        inner = make("Add", x, make("Mul", cube, number(0.044715)))
        curve = make("Tanh", make("Mul", inner, number(math.sqrt(2 / math.pi))))
    else:
        curve = make("Erf", make("Mul", x, number(math.sqrt(0.5))))
    return make("Mul", x, number(0.5)), make("Add", curve, number(1.0))


def same_pads(size: int, window: int, stride: int, dilation: int) -> tuple[int, int]:
    """Before and after: TensorFlow's SAME gives ceil(size / stride) windows, the odd cell of padding last."""
    span = (window - 1) * dilation + 1
    total = max((-(-size // stride) - 1) * stride + span - size, 0)
    return total // 2, total - total // 2
