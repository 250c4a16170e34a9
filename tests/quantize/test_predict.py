"""Predicted noise beside noise that is measured: on grids exactly, on networks within a few dB."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelbuild.graph.model import Node
from modelbuild.graph.session import FloatSession
from modelbuild.quantize.histogram import Histogram
from modelbuild.quantize.number_format import TensorFormat
from modelbuild.quantize.observe import observe
from modelbuild.quantize.predict import activation_noise, decibels, squared_errors, weight_noise
from modelbuild.quantize.weighted import weighted
from tests.hypotheses import examples
from tests.quantize.cases import graph_of, normal, samples_of
from tests.quantize.histograms import histogram_of

RNG = np.random.default_rng(11)
BYTE = TensorFormat(8, True, False, "free")


def quantized(values: Any, form: TensorFormat, grid: tuple[float, int]) -> Any:
    scale, zero = grid
    return (np.clip(np.rint(values / scale) + zero, form.low, form.high) - zero) * scale


@examples(60)
@given(
    bits=st.sampled_from([4, 8, 16]),
    low=st.floats(-8, 0),
    high=st.floats(0.1, 8),
    shift=st.floats(-3, 3),
    seed=st.integers(0, 99),
)
def test_errors_on_a_histogram_are_those_of_the_values(bits, low, high, shift, seed) -> None:
    """Rounding, clipping, steps finer and coarser than bins, ranges on one side of zero."""
    values = (np.random.default_rng(seed).standard_normal(20000) + shift).astype(np.float32)
    form = TensorFormat(bits, True, False, "free")
    grid = form.grid(low, high)
    histogram = histogram_of(values)
    exact = float(np.square(quantized(values.astype(np.float64), form, grid) - values).sum())
    (found,) = squared_errors(histogram, histogram.counts.astype(np.float64), form, [grid])
    bin_width = (histogram.high - histogram.low) / len(histogram.counts)
    few_beside_an_end = 32 * bin_width**2  # of 16 bits they can be a tenth of all errors
    assert found == pytest.approx(exact, rel=0.05, abs=few_beside_an_end)


def test_equal_values_are_a_point() -> None:
    counts = np.zeros(4096, np.int64)
    counts[0] = 5
    form = TensorFormat(8, True, True, "free")
    for value in (0.3, 1e-42, 3e38):
        histogram = Histogram(value, value, counts, 0)
        (found,) = squared_errors(histogram, counts.astype(np.float64), form, [(value * 0.8, 0)])
        assert found == pytest.approx(5 * (0.2 * value) ** 2)


def network():
    nodes = [
        Node("Conv", "first", ["x", "w", "b"], ["a"], {"pads": [1, 1, 1, 1]}),
        Node("Relu", "relu", ["a"], ["r"]),
        Node("Conv", "second", ["r", "v"], ["c"]),
        Node("Add", "sum", ["c", "x"], ["y"]),
    ]
    constants = {"w": normal(8, 4, 3, 3), "b": normal(8), "v": normal(4, 8, 1, 1)}
    return graph_of(nodes, {"x": (1, 4, 10, 10)}, ["y"], constants)


GRAPH = network()
SAMPLES = samples_of(GRAPH, 48)
OBSERVED = observe(GRAPH, SAMPLES)


def lost(change: Any, constants: Mapping[str, Any] = GRAPH.constants) -> float:
    """Noise power at the output, relative to its own, with `r` put through `change` and other constants."""
    head, tail = FloatSession(GRAPH, "all"), FloatSession(behind(constants), "all")
    noise = signal = 0.0
    for sample in SAMPLES:
        made = head.run(sample)
        wrong = tail.run({"x": sample["x"], "r": change(made["r"]).astype(np.float32)})
        noise += float(np.square(wrong["y"].astype(np.float64) - made["y"]).sum())
        signal += float(np.square(made["y"].astype(np.float64)).sum())
    return noise / signal


def behind(constants: Mapping[str, Any]) -> Any:
    """What is behind `r`."""
    shapes = {"r": (1, 8, 10, 10), "x": (1, 4, 10, 10)}
    return graph_of(GRAPH.nodes[2:], shapes, ["y"], {"v": constants["v"]})


@pytest.mark.parametrize("share", [1.0, 0.6, 0.3])
def test_activation_noise_is_what_the_outputs_lose(share: float) -> None:
    grid = BYTE.grid(0.0, share * OBSERVED.tensors["r"].histogram.high)
    predicted = activation_noise(OBSERVED, "r", BYTE, grid)
    assert predicted is not None
    measured = lost(lambda values: quantized(values, BYTE, grid))
    assert decibels(1.0, measured) == pytest.approx(decibels(1.0, predicted), abs=2.0)


def test_weight_noise_is_what_the_outputs_lose() -> None:
    """Beside the mean error, which the correction of biases takes out: here all samples have it taken out."""
    found = weighted(GRAPH, GRAPH.nodes[2])
    assert found is not None
    difference = RNG.standard_normal(found.weight.shape) * 0.01
    predicted = weight_noise(OBSERVED, found, difference, "r", "c")
    assert predicted is not None
    mean = OBSERVED.tensors["r"].channel_mean.reshape(1, -1, 1, 1)
    wrong = {"v": (found.weight + difference).astype(np.float32)}
    whole, shift = lost(lambda values: values, wrong), mean_shift(difference, mean)
    assert decibels(1.0, whole - shift) == pytest.approx(decibels(1.0, predicted), abs=2.0)


def mean_shift(difference: Any, mean: Any) -> float:
    """The share of the output's power that the mean error makes."""
    each = (difference[:, :, 0, 0] * mean.reshape(1, -1)).sum(axis=1)
    power = OBSERVED.tensors["y"].power / len(SAMPLES)
    return float(np.square(each).sum() * 100 / power)


def test_no_gradient_no_prediction() -> None:
    plain = replace(OBSERVED.tensors["r"], channel_weight=None)
    histogram = replace(plain.histogram, weights=None)
    without = replace(OBSERVED, tensors={**OBSERVED.tensors, "r": replace(plain, histogram=histogram)})
    assert activation_noise(without, "r", BYTE, (0.1, 0)) is None
    found = weighted(GRAPH, GRAPH.nodes[0])
    assert found is not None
    assert weight_noise(without, found, found.weight * 0.01, "x", "r") is None


def test_decibels() -> None:
    assert decibels(100.0, 1.0) == 20.0
    assert decibels(1.0, 0.0) == 200.0
    assert decibels(0.0, 1.0) == -200.0
