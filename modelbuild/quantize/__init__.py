"""From a float graph to exact integers: docs/quantization.md."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def radix(arrays: Iterable[ArrayLike], bits: int = 8) -> int:
    """The radix of an input that holds what `arrays` do; ValueError with the range where none holds it."""
    from modelbuild.quantize.input_radix import input_radix  # numpy is loaded when it is needed

    return input_radix(arrays, bits)
