"""Range methods: one module each, `choose(histogram, tensor_format, options) -> (low, high)`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from modelbuild.quantize.histogram import Histogram
from modelbuild.quantize.number_format import TensorFormat
from modelbuild.quantize.ranges import minmax, mse, percentile

Method = Callable[[Histogram, TensorFormat, Mapping[str, Any]], tuple[float, float]]

METHODS: dict[str, Method] = {
    "mse": mse.choose,
    "minmax": minmax.choose,
    "percentile": percentile.choose,
}
OPTIONS: dict[str, frozenset[str]] = {
    "mse": frozenset(),
    "minmax": frozenset(),
    "percentile": frozenset({"percentile"}),
}
# Methods that look at errors, and so at the function that follows (option "through").
BY_ERROR = frozenset({"mse"})
DEFAULT_METHOD = "mse"
