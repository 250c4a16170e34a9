"""Range methods: one module each, `choose(observation, tensor_format, options) -> (low, high)`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from modelbuild.quantize.number_format import TensorFormat
from modelbuild.quantize.observations import TensorObservation
from modelbuild.quantize.ranges import (
    entropy,
    headroom,
    minmax,
    moving_average,
    mse,
    output_error,
    percentile,
    wide,
)

Method = Callable[[TensorObservation, TensorFormat, Mapping[str, Any]], tuple[float, float]]

# Their options: `METHOD_OPTIONS` of the settings.
METHODS: dict[str, Method] = {
    "entropy": entropy.choose,
    "minmax": minmax.choose,
    "moving_average": moving_average.choose,
    "mse": mse.choose,
    "output_error": output_error.choose,
    "percentile": percentile.choose,
}
WIDE = "wide"  # what stands for output_error in formats of more than 8 bits; no setting names it
HEADROOM = "headroom"  # of the model's outputs; no setting names it, either
NATURAL = "natural"  # of functions that have a range of their own, all of it (natural.py)
# By the record's method column.
CHOOSERS: dict[str, Method] = {**METHODS, WIDE: wide.choose, HEADROOM: headroom.choose}
# Methods that look at the tensor's own errors, and so at the function that follows (option "through").
BY_ERROR = frozenset({"mse"})


def applicable(method: str, observation: TensorObservation, tensor_format: TensorFormat) -> str:
    """The method that is used where `method` is asked for: mse where no gradient is known."""
    if method == "output_error" and tensor_format.bits > 8:
        return WIDE
    if method == "output_error" and not output_error.known(observation):
        return "mse"
    return method
