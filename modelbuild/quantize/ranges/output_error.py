"""The range of the least error at the model's outputs, as the gradients predict it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelbuild.quantize.number_format import TensorFormat
from modelbuild.quantize.observations import TensorObservation
from modelbuild.quantize.ranges.search import least_error


def known(observation: TensorObservation) -> bool:
    """Whether it is known what an error in the tensor does to the outputs, and that it does anything."""
    weights = observation.histogram.weights
    return weights is not None and bool(weights.any())


def choose(
    observation: TensorObservation, tensor_format: TensorFormat, options: Mapping[str, Any]
) -> tuple[float, float]:
    """Each value counts as much as the squared gradient has it; for tensors that are `known`."""
    weights = observation.histogram.weights
    assert weights is not None
    return least_error(observation.histogram, weights, tensor_format, beyond=True)
