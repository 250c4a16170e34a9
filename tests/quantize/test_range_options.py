"""What the options of ranges, and the choices of scheme, do: on a chain, down to the fixed model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from modelbuild.chips.load import load_recipe
from modelbuild.graph.model import Graph, Node
from modelbuild.quantize.functions import OUTPUT_FUNCTIONS
from modelbuild.quantize.number_format import TensorFormat
from modelbuild.quantize.observe import observe
from modelbuild.quantize.ranges import mse, percentile
from modelbuild.quantize.settings import OUTPUT_FUNCTIONS as NAMED
from modelbuild.quantize.verify import verify
from tests.quantize.cases import graph_of, make, normal, one_node, samples_of

INT8, INT16 = TensorFormat(8, True, True, "free"), TensorFormat(16, True, True, "free")


def tails() -> Any:
    """A tensor of normal values and one in a thousand that lies ten times as far."""
    graph = one_node("Relu", (1, 4, 45, 45))
    values = np.random.default_rng(3).standard_normal((4, 1, 4, 45, 45)).astype(np.float32)
    values.reshape(-1)[::1000] *= 10
    samples = [{"x": sample} for sample in values]
    return make(graph, "kl720", {"range": {"method": "minmax"}}, samples).observations.tensors["x"]


def reach(ends: tuple[float, float]) -> float:
    return max(-ends[0], ends[1])


def outside(observed: Any, ends: tuple[float, float]) -> float:
    values, counts = observed.histogram.values()
    step = reach(ends) / 127
    return float(counts[np.abs(values) > reach(ends) + step / 2].sum() / counts.sum())


def test_outliers_that_count_more_are_clipped_less() -> None:
    observed = tails()
    plain, more, most = (
        reach(mse.choose(observed, INT8, {"outlier_factor": factor})) for factor in (1.0, 20.0, 1e6)
    )
    assert reach(mse.choose(observed, INT8, {})) == plain < more < most
    assert most == pytest.approx(max(-observed.histogram.low, observed.histogram.high), rel=0.03)


@pytest.mark.parametrize("most", [0.0, 1e-4, 1e-3, 1e-2])
def test_no_more_than_max_clipped_lie_outside(most: float) -> None:
    observed = tails()
    four = TensorFormat(4, True, True, "free")  # which gains most by clipping
    assert outside(observed, mse.choose(observed, four, {})) > 1e-3
    found = mse.choose(observed, four, {"max_clipped": most})
    values, counts = observed.histogram.values()
    scale, zero = four.grid(*found)
    beyond = np.maximum(values - 7 * scale, -8 * scale - values) > scale / 2
    assert zero == 0 and counts[beyond].sum() <= most * counts.sum()


def test_wide_tensors_have_a_percentile_of_their_own() -> None:
    observed, options = tails(), {"percentile": 99.0, "percentile_16bit": 99.99}
    assert percentile.choose(observed, INT8, options) == percentile.choose(
        observed, INT8, {"percentile": 99.0}
    )
    assert percentile.choose(observed, INT16, options) == percentile.choose(
        observed, INT16, {"percentile": 99.99}
    )
    assert reach(percentile.choose(observed, INT16, options)) > reach(
        percentile.choose(observed, INT8, options)
    )


def logits() -> Graph:
    """Scores of a detector: mostly far below 0, where a Sigmoid is flat."""
    constants = {"w": 6 * normal(2, 3, 1, 1), "b": np.array([-20, -30], np.float32)}
    return graph_of([Node("Conv", "head", ["x", "w", "b"], ["y"])], {"x": (1, 3, 16, 16)}, ["y"], constants)


@pytest.mark.parametrize("chip", ["kl720", "modalix"])
def test_outputs_before_a_sigmoid_serve_what_follows_it(chip: str) -> None:
    graph = logits()
    samples = samples_of(graph)
    plain, served = (make(graph, chip, {"output_function": name}, samples) for name in ("none", "sigmoid"))
    lines = [made.record.by_name()["y"] for made in (plain, served)]
    assert [line.method for line in lines] == ["headroom", "mse"] and lines[0].scale > 2 * lines[1].scale

    errors = []
    for made in (plain, served):
        found: list[float] = []
        line = made.record.by_name()["y"]
        for sample in samples:
            exact = reference(graph, sample)
            codes = np.clip(np.rint(exact / line.scale) + line.zero_point, -128, 127)
            real = (codes - line.zero_point) * line.scale
            found.append(float(np.square(sigmoid(real) - sigmoid(exact)).sum()))
        errors.append(sum(found))
    assert errors[0] > 2 * errors[1]


def test_wide_outputs_before_a_sigmoid_serve_it_too() -> None:
    line = make(logits(), "kl720", {"output_function": "sigmoid", "outputs": "int16"}).record.by_name()["y"]
    assert (line.type, line.method) == ("int16", "mse")


def reference(graph: Graph, sample: Any) -> Any:
    weights, bias = graph.constants["w"], graph.constants["b"]
    return np.einsum("oi,nihw->nohw", weights[:, :, 0, 0], sample["x"]) + bias[:, None, None]


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x.astype(np.float64)))


def test_output_functions_have_one_list() -> None:
    assert set(OUTPUT_FUNCTIONS) | {"none"} == set(NAMED)


def chain() -> Graph:
    nodes = [
        Node("Conv", "conv", ["x", "w", "b"], ["a"], {"pads": [1, 1, 1, 1]}),
        Node("Relu", "relu", ["a"], ["r"]),
        Node("Conv", "last", ["r", "v"], ["y"]),
    ]
    scales = np.array([0.01, 0.1, 1, 10], np.float32)[:, None, None, None]
    constants = {"w": normal(4, 3, 3, 3) * scales, "b": normal(4), "v": normal(2, 4, 1, 1)}
    return graph_of(nodes, {"x": (1, 3, 8, 8)}, ["y"], constants)


def test_a_chip_with_zero_points_can_do_without() -> None:
    made = make(chain(), "modalix", {"symmetric": True})
    assert "symmetric=yes" in made.record.format
    assert all(tensor.zero_point == 0 for tensor in made.fixed.tensors.values())
    assert make(chain(), "modalix").record.by_name()["r"].zero_point == -128
    assert verify(made.fixed, made.graph, iter(made.samples))["outputs"][0]["snr_db"] > 25


def test_weights_may_have_one_scale_for_all_channels() -> None:
    one, each = (make(chain(), "kl720", {"per_channel": value}) for value in (False, True))
    assert "per_channel=no" in one.record.format and one.record.by_name()["w"].scale is not None
    assert each.record.by_name()["w"].scale is None
    assert each.record.by_name()["w"].snr_db is not None
    found = [
        verify(made.fixed, made.graph, iter(made.samples))["outputs"][0]["snr_db"] for made in (one, each)
    ]
    assert found[0] > 15 and found[1] > 25


@pytest.mark.parametrize(
    ("chip", "settings"), [("kl720", {"symmetric": False}), ("kl520", {"symmetric": False})]
)
def test_what_the_hardware_has_not_is_refused(chip: str, settings: dict[str, Any]) -> None:
    assert load_recipe(chip).number_format.symmetric_activations
    with pytest.raises(Exception, match="symmetric: false is not available"):
        make(chain(), chip, settings)


def far_ends() -> Any:
    """A large tensor, of which a part is counted: normal values, and two far from them that are not."""
    graph = one_node("Relu", (1, 4, 128, 128))
    values = np.random.default_rng(3).standard_normal((4, 1, 4, 128, 128)).astype(np.float32)
    values[1, 0, 1, 2, 3], values[2, 0, 2, 4, 9] = 53.0, -63.0
    return observe(graph, [{"x": sample} for sample in values]).tensors["x"]


@pytest.mark.parametrize("symmetric", [True, False])
def test_whoever_asks_for_everything_gets_the_ends_of_large_tensors_too(symmetric: bool) -> None:
    observed, form = far_ends(), TensorFormat(8, True, symmetric, "free")
    histogram = observed.histogram
    assert (histogram.low, histogram.high) == (-63.0, 53.0)
    assert not histogram.counts[0] and not histogram.counts[-1]
    assert percentile.choose(observed, form, {"percentile": 100}) == (-63.0, 53.0)
    assert reach(percentile.choose(observed, form, {"percentile": 99.99})) < 10
    scale, zero = form.grid(*mse.choose(observed, form, {"max_clipped": 0.0}))
    low, high = ((code - zero) * scale for code in (form.low, form.high))
    assert low - scale / 2 <= -63.0 and high + scale / 2 >= 53.0
