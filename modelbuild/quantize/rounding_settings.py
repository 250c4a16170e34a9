"""`rounding` and `bias_correction` below `quantize:`: their values. Imports no numpy, as settings.py."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from modelbuild.errors import ModelbuildError

LARGEST, LEAST_SQUARES = "max", "mse"  # the range of weights: the largest |w|, or of the least squared error
NEAREST, OBSERVED = "nearest", "observed"  # which need no samples
ROUNDINGS = (NEAREST, OBSERVED, "squant", "adaround")
BIAS_CORRECTIONS = ("none", "parallel", "sequential")
BY_SIZE = "auto"  # the default of either, which hangs on the size of the model
FINE = "adaround"  # the rounding of weights of few bits, where none is chosen
FEW_BITS = 4  # weights of so few have ranges of their own choice, and may use the lowest code
USUAL_BITS = 8


def read_rounding(key: str, value: Any) -> str | None:
    """How weights are rounded; None: the default."""
    return None if value == BY_SIZE else _one_of(key, value, ROUNDINGS)


def read_weights_range(key: str, value: Any) -> str:
    """How far the codes of weights reach."""
    return _one_of(key, value, (LARGEST, LEAST_SQUARES))


def read_bias_correction(key: str, value: Any) -> str | None:
    """How mean errors are taken out of biases; None: the default."""
    return None if value == BY_SIZE else _one_of(key, value, BIAS_CORRECTIONS)


def _one_of(key: str, value: Any, names: Sequence[str]) -> str:
    if value not in names:
        raise ModelbuildError(f"{key}: {value!r} is not one of {', '.join(names)}")
    return str(value)


def bits_of_name(name: str) -> int:
    """4 of int4; 16 of bfloat16, which is no integer."""
    digits = "".join(letter for letter in name if letter.isdigit())
    return int(digits) if digits else 16
