"""Range methods: one module each, `choose(observation, tensor_format, options) -> (low, high)`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from modelbuild.quantize.number_format import TensorFormat
from modelbuild.quantize.observations import TensorObservation
from modelbuild.quantize.ranges import entropy, minmax, mse, output_error, percentile

Method = Callable[[TensorObservation, TensorFormat, Mapping[str, Any]], tuple[float, float]]

METHODS: dict[str, Method] = {
    "entropy": entropy.choose,
    "minmax": minmax.choose,
    "mse": mse.choose,
    "output_error": output_error.choose,
    "percentile": percentile.choose,
}
OPTIONS: dict[str, frozenset[str]] = {
    "entropy": frozenset(),
    "minmax": frozenset(),
    "mse": frozenset(),
    "output_error": frozenset(),
    "percentile": frozenset({"percentile"}),
}
# Methods that look at the tensor's own errors, and so at the function that follows (option "through").
BY_ERROR = frozenset({"mse"})
DEFAULT_METHOD = "output_error"


def applicable(method: str, observation: TensorObservation) -> str:
    """The method that is used where `method` is asked for: mse where no gradient is known."""
    if method == "output_error" and not output_error.known(observation):
        return "mse"
    return method
