"""The record's lines of tensors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from modelbuild.arithmetic.fixed_model import QuantizedTensor
from modelbuild.errors import EXIT_FAILED, ModelbuildError
from modelbuild.graph.model import Graph
from modelbuild.quantize.number_format import Formats, TensorFormat
from modelbuild.quantize.observations import Observations, TensorObservation
from modelbuild.quantize.plan import Plan
from modelbuild.quantize.predict import activation_noise, decibels, squared_errors
from modelbuild.quantize.record import TensorRecord
from modelbuild.quantize.source_quantization import METHOD


@dataclass(frozen=True)
class Choice:
    """The grid of a tensor, and the range method that it comes from."""

    scale: float
    zero_point: int
    method: str


def activation_line(
    graph: Graph, plan: Plan, formats: Formats, observations: Observations, name: str, choice: Choice
) -> TensorRecord:
    """That of a tensor of the fixed-point model, which has a grid of its own or its root's."""
    form = formats.of(plan.root(name))
    kind = "input" if name in graph.inputs else "output" if name in graph.outputs else "activation"
    low = (form.low - choice.zero_point) * choice.scale
    high = (form.high - choice.zero_point) * choice.scale
    method = choice.method if plan.root(name) == name else "shared"
    grid = choice.scale, choice.zero_point
    ratio = _own_snr(observed_tensor(observations, name), form, grid)
    ends = _decibels(activation_noise(observations, name, form, grid))
    return TensorRecord(name, kind, form.bits, form.signed, *grid, low, high, method, ratio, ends)


def _decibels(noise: float | None) -> float | None:
    return None if noise is None else decibels(1.0, noise)


def _own_snr(observation: TensorObservation, form: TensorFormat, grid: tuple[float, int]) -> float:
    histogram = observation.histogram
    noise = squared_errors(histogram, histogram.counts.astype(np.float64), form, [grid])[0]
    return decibels(observation.power, float(noise))


def port_line(graph: Graph, port: QuantizedTensor) -> TensorRecord:
    """An input or output of codes: they are what they are."""
    kind = "input" if port.name in graph.inputs else "output"
    ends = float(port.low), float(port.high)
    return TensorRecord(port.name, kind, port.bits, port.signed, 1.0, 0, *ends, METHOD, None)


def observed_tensor(observations: Observations, name: str) -> TensorObservation:
    """Of a tensor by name. Raises (exit 1) where there is none."""
    if name not in observations.tensors:
        raise ModelbuildError(
            f"the tensor {name!r} was not observed",
            why="the observations belong to another model or to an older form of this one",
            exit_code=EXIT_FAILED,
        )
    return observations.tensors[name]
