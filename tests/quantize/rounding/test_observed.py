"""Weights that read pictures: less noise than with the nearest, predicted as it is, the same everywhere."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelbuild.chips.load import load_recipe
from modelbuild.graph.model import Graph, Node
from modelbuild.graph.session import FloatSession
from modelbuild.quantize import record as records
from modelbuild.quantize.apply import apply
from modelbuild.quantize.quantize import quantize
from modelbuild.quantize.rounding import observed
from modelbuild.quantize.settings import Settings
from modelbuild.quantize.weighted import Weighted
from modelbuild.quantize.weights import other_neighbour, unpack_flips, weight_scales
from tests.hypotheses import examples
from tests.quantize.cases import Made, Sample, graph_of, make, normal, samples_of


def network(seed: int = 0) -> Graph:
    nodes = [
        Node("Conv", "c", ["x", "w", "b"], ["t"], {"pads": [1, 1, 1, 1], "strides": [2, 2]}),
        Node("Relu", "r", ["t"], ["u"]),
        Node("Conv", "d", ["u", "v"], ["y"]),
    ]
    constants = {"w": normal(16, 3, 3, 3, seed=seed), "b": normal(16, seed=2), "v": normal(8, 16, 3, 3)}
    return graph_of(nodes, {"x": (1, 3, 16, 16)}, ["y"], constants)


def pictures(graph: Graph, count: int, seed: int = 0) -> list[Sample]:
    """Neighbouring cells are alike."""
    made = samples_of(graph, count, seed)
    return [{"x": (each["x"].cumsum(axis=2).cumsum(axis=3) / 9 + 1).astype(np.float32)} for each in made]


@pytest.fixture(scope="module")
def made() -> Made:
    graph = network()
    return make(graph, "modalix", {}, pictures(graph, 16))


def with_settings(made: Made, given: dict[str, Any]) -> records.Record:
    form = load_recipe("modalix").number_format
    return quantize(made.graph, made.observations, Settings.read(given), form)


def first_weights(made: Made, record: records.Record) -> np.ndarray:
    fixed = apply(made.graph, {}, record, load_recipe("modalix"))
    return np.asarray(fixed.constants[fixed.operators[0].constants["weight"]], np.float64)


def noise_power(made: Made, weights: np.ndarray, samples: list[Sample]) -> float:
    """Of the first layer's outputs, their mean taken out, when it has these weights."""
    graph, changed = (network() for _ in range(2))
    changed.constants["w"] = weights.astype(np.float32)
    outputs = [FloatSession(each, ["t"]) for each in (graph, changed)]
    rest = np.concatenate([outputs[1].run(each)["t"] - outputs[0].run(each)["t"] for each in samples])
    return float(np.square(rest - rest.mean(axis=(0, 2, 3), keepdims=True)).mean())


def test_the_first_layer_errs_less_on_other_pictures_too(made: Made) -> None:
    scales = weight_scales(made.graph.constants["w"], 8, True, "free").reshape(-1, 1, 1, 1)
    plain, fitted = (
        first_weights(made, with_settings(made, each)).reshape(16, 3, 3, 3) * scales
        for each in ({"rounding": "nearest", "equalize": False}, {"equalize": False})
    )
    assert np.abs(fitted - made.graph.constants["w"]).max() < scales.max() * 1.001
    for samples in (made.samples, pictures(made.graph, 16, 5)):
        assert noise_power(made, fitted, samples) < noise_power(made, plain, samples) / 4


@pytest.mark.parametrize("rounding", ["nearest", "observed"])
def test_noise_is_predicted_of_inputs_that_are_alike(made: Made, rounding: str) -> None:
    """`c` is the whole model; as if pixels had nothing in common 5 dB would be missing."""
    graph = graph_of(
        [Node("Conv", "c", ["x", "w"], ["t"])], {"x": (1, 3, 16, 16)}, ["t"], {"w": normal(16, 3, 3, 3)}
    )
    one = make(graph, "modalix", {"rounding": rounding}, pictures(graph, 16))
    line = one.record.by_name()["w"]
    weights = one.fixed.constants[one.fixed.operators[0].constants["weight"]]
    column = weight_scales(graph.constants["w"], 8, True, "free").reshape(-1, 1, 1, 1)
    rest = weights.reshape(16, 3, 3, 3) * column - graph.constants["w"]
    session = FloatSession(graph)
    changed = graph_of(graph.nodes, {"x": (1, 3, 16, 16)}, ["t"], {"w": rest.astype(np.float32)})
    noise = np.concatenate([FloatSession(changed).run(each)["t"] for each in one.samples])
    noise -= noise.mean(axis=(0, 2, 3), keepdims=True)
    signal = np.concatenate([session.run(each)["t"] for each in one.samples])
    measured = 10 * np.log10(np.square(signal).mean() / np.square(noise).mean())
    assert line.method == ("minmax" if rounding == "nearest" else "observed")
    assert line.output_snr_db == pytest.approx(measured, abs=1.0)


@given(st.integers(0, 10000), st.sampled_from([1, 3]), st.sampled_from([4, 8]), st.integers(2, 30))
@examples(60)
def test_no_output_errs_more_than_with_the_nearest(seed: int, groups: int, bits: int, width: int) -> None:
    rng = np.random.default_rng(seed)
    factors = rng.standard_normal((groups, width, max(width // 2, 1)))
    covariance = factors @ np.swapaxes(factors, 1, 2)
    found = Weighted("w", rng.standard_normal((groups * 4, width, 1, 1)), np.zeros(groups * 4), groups)
    scales = weight_scales(found.weight, bits, True, "free")
    column = scales.reshape(-1, 1, 1, 1)
    exact = found.weight / column
    flips = observed.flips_of(found, scales, bits, covariance)
    nearest = np.rint(exact)
    rounded = np.where(flips, other_neighbour(exact), nearest)
    errors = [
        observed.error_of(found, scales, (steps - exact) * column, covariance) for steps in (rounded, nearest)
    ]
    assert (errors[0] <= errors[1] * (1 + 1e-9)).all()
    assert np.abs(rounded - exact).max() <= 1 and np.abs(rounded + 0.5).max() < 1 << (bits - 1)


def test_inputs_without_variance_leave_the_nearest() -> None:
    found = Weighted("w", normal(4, 3, 2, 2), np.zeros(4))
    scales = weight_scales(found.weight, 8, True, "free")
    assert not observed.flips_of(found, scales, 8, np.zeros((1, 12, 12))).any()


def test_the_record_tells_it_and_reads_back_to_the_same_model(made: Made) -> None:
    line = made.record.by_name()
    assert (line["w"].method, line["v"].method) == ("observed", "minmax")
    (name,) = made.record.corrections["round"]
    assert name == "u" and unpack_flips(made.record.corrections["round"]["u"], (16, 3, 3, 3)).any()
    again = records.from_text(records.to_text(made.record), "quant.txt")
    assert records.to_text(again) == records.to_text(made.record)
    assert np.array_equal(first_weights(made, again), first_weights(made, made.record))


@pytest.mark.parametrize(
    ("given", "rounded"),
    [
        ({}, True),
        ({"rounding": "observed"}, True),
        ({"rounding": "nearest"}, False),
        ({"rounding": "squant"}, False),  # with samples, later
        ({"range": {"method": "minmax"}}, False),
        ({"range": {"method": "minmax"}, "rounding": "observed"}, True),
        ({"weights": "int16"}, False),
        ({"weights_range": "mse"}, True),
    ],
)
def test_which_settings_round_by_what_was_observed(made: Made, given: dict[str, Any], rounded: bool) -> None:
    assert ("round" in with_settings(made, given).corrections) is rounded


def test_biases_make_up_for_the_weights_as_they_are_rounded(made: Made) -> None:
    """The mean of what the fitted weights add is taken out, and is another one than the nearest's."""
    plain = with_settings(made, {"rounding": "nearest"})
    fitted = with_settings(made, {})
    assert plain.corrections["bias"]["u"] != fitted.corrections["bias"]["u"]
    one, two = (first_weights(made, each) for each in (plain, fitted))
    x = made.fixed.tensors["x"].scale
    shift = (two - one).reshape(16, 3, 9)
    mean = made.observations.tensors["x"].channel_mean
    covered = np.outer([7 / 8, 1, 1], [7 / 8, 1, 1]).reshape(-1)  # the first row and column meet padding
    expected = -(shift @ covered @ mean) / x
    found = np.subtract(fitted.corrections["bias"]["u"], plain.corrections["bias"]["u"])
    assert np.abs(found - expected).max() <= 1.01
