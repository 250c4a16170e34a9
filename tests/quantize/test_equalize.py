"""Cross-layer equalisation: which channels are tied, what factors do, and what a record may say."""

from __future__ import annotations

import dataclasses
import tracemalloc
from typing import Any

import numpy as np
import pytest

from modelbuild.chips.load import load_recipe
from modelbuild.errors import ModelbuildError
from modelbuild.graph.kept_quantization import Kept, keep
from modelbuild.graph.model import Attribute, Graph, Node
from modelbuild.quantize import equalize
from modelbuild.quantize import record as records
from modelbuild.quantize.apply import apply
from modelbuild.quantize.equalize_channels import FIXED, channels_of
from modelbuild.quantize.equalized import ONE, Equalization, factors_in, scaled
from modelbuild.quantize.histogram import Histogram
from modelbuild.quantize.number_format import TensorFormat
from modelbuild.quantize.observe import observe
from modelbuild.quantize.plan import make_plan
from modelbuild.quantize.predict import activation_noise, decibels, squared_errors
from modelbuild.quantize.quantize import quantize
from modelbuild.quantize.settings import Settings
from modelbuild.quantize.verify import verify
from tests.quantize.cases import F, Made, graph_of, longs, make, normal, samples_of

UNEVEN = np.array([1, 0.02, 0.5, 0.01, 1, 0.03, 0.2, 0.01], F)


def network(bounded: bool = True) -> Graph:
    """Two convolutions with a block between whose channels differ by a factor of 100, and a residual."""
    spread = UNEVEN.reshape(8, 1, 1, 1)
    constants: dict[str, Any] = {
        "w0": normal(8, 3, 3, 3, seed=2) * spread,
        "w1": normal(8, 1, 3, 3, seed=3),
        "w2": normal(8, 8, 1, 1, seed=4) * spread / UNEVEN.reshape(1, 8, 1, 1),
        "w3": normal(4, 8, 1, 1, seed=5) / UNEVEN.reshape(1, 8, 1, 1),
        "b": UNEVEN,
        "low": np.array(0, F),
        "high": np.array(6, F),
    }
    pads: dict[str, Attribute] = {"pads": [1, 1, 1, 1]}
    act = ("Clip", ["low", "high"]) if bounded else ("Relu", [])
    nodes = [
        Node("Conv", "c0", ["x", "w0", "b"], ["t0"], pads),
        Node(act[0], "a0", ["t0", *act[1]], ["r0"]),
        Node("Conv", "c1", ["r0", "w1"], ["t1"], {**pads, "group": 8}),
        Node(act[0], "a1", ["t1", *act[1]], ["r1"]),
        Node("Conv", "c2", ["r1", "w2"], ["t2"]),
        Node("Add", "sum", ["r0", "t2"], ["s"]),
        Node("MaxPool", "pool", ["s"], ["p"], {"kernel_shape": [2, 2], "strides": [2, 2]}),
        Node("Conv", "c3", ["p", "w3"], ["y"]),
    ]
    return graph_of(nodes, {"x": (1, 3, 12, 12)}, ["y"], constants)


@pytest.fixture(scope="module")
def made() -> Made:
    graph = network()
    return make(graph, "modalix", {"equalize": True}, samples_of(graph, 6))


def snr(found: Made) -> float:
    others = samples_of(found.graph, 4, seed=9)
    return float(verify(found.fixed, found.graph, iter(others))["outputs"][0]["snr_db"])


def test_small_channels_grow_through_clip_depthwise_and_residual(made: Made) -> None:
    plain = make(network(), "modalix", {"equalize": False}, made.samples)
    assert "equalize" not in plain.record.corrections
    assert snr(made) > snr(plain) + 6
    factors = made.record.corrections["equalize"]
    assert factors["r0"] == factors["t2"]  # both are added
    assert factors["r0"][0] > 4 * factors["r0"][1]


def test_layers_are_compared_in_the_units_of_the_float_model(made: Made) -> None:
    layers = {
        line["name"]: line["snr_db"] for line in verify(made.fixed, made.graph, iter(made.samples))["layers"]
    }
    assert min(layers[name] for name in ("r0", "r1", "s", "p")) > 25
    assert set(factors_in(made.fixed.metadata)) >= {"r0", "s", "p"}


def test_a_record_gives_the_same_model_again(made: Made) -> None:
    read = records.from_text(records.to_text(made.record))
    assert read.corrections == made.record.corrections
    units = {node.name: "npu" for node in made.graph.nodes}
    again = apply(made.graph, units, read, load_recipe("modalix"))
    for name, values in made.fixed.constants.items():
        np.testing.assert_array_equal(values, again.constants[name])


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ({"r0": (ONE,) * 7 + (5,), "t2": (ONE,) * 8}, "needs the same ones"),
        ({"r1": (ONE,) * 7}, "there are 7 for 8 channels"),
        ({"r1": (ONE + 1,) * 8}, f"each must be from 1 to {ONE}"),
        ({"r1": (0,) * 8}, f"each must be from 1 to {ONE}"),
        ({"y": (5,) * 4}, "another tensor"),
        ({"s": (ONE,) * 8}, "no operator with constant weights"),
    ],
)
def test_factors_that_cannot_be_are_refused(made: Made, lines: Any, why: str) -> None:
    record = dataclasses.replace(made.record, corrections={"equalize": lines})
    with pytest.raises(ModelbuildError, match=why):
        apply(made.graph, {}, record, load_recipe("modalix"))


def test_channels_are_followed_where_they_move_and_end_where_they_mix() -> None:
    nodes = [
        Node("Conv", "c0", ["x", "w0"], ["a"]),
        Node("Conv", "c1", ["x", "w1"], ["b"]),
        Node("Concat", "join", ["a", "b"], ["c"], {"axis": 1}),
        Node("Gather", "shuffle", ["c", "places"], ["d"], {"axis": 1}),
        Node("Transpose", "t0", ["d"], ["e"], {"perm": [0, 1, 3, 2]}),
        Node("Reshape", "r1", ["e", "flat"], ["f0"]),
        Node("Reshape", "r2", ["f0", "whole"], ["f"]),
        Node("Split", "cut", ["f"], ["g", "h"], {"axis": 1}),
        Node("Sigmoid", "gate", ["h"], ["i"]),
        Node("Mul", "times", ["g", "i"], ["j"]),
        Node("Conv", "c2", ["j", "w2"], ["y"]),
    ]
    constants = {
        "w0": normal(4, 3, 1, 1),
        "w1": normal(4, 3, 1, 1, seed=2),
        "w2": normal(2, 4, 1, 1, seed=3),
        "places": longs(0, 4, 1, 5, 2, 6, 3, 7),
        "flat": longs(1, 8, 25),
        "whole": longs(1, 8, 5, 5),
    }
    graph = graph_of(nodes, {"x": (1, 3, 5, 5)}, ["y"], constants)
    found = channels_of(graph, make_plan(graph))
    a, b = found.ids["a"], found.ids["b"]
    shuffled = [number for pair in zip(a, b, strict=True) for number in pair]
    assert found.ids["f"].tolist() == shuffled
    assert set(found.ids["h"]) == {FIXED} == set(found.ids["x"]) | set(found.ids["y"])
    assert found.ids["j"].tolist() == found.ids["g"].tolist() == shuffled[:4]
    assert a[2:].tolist() == b[2:].tolist() == [FIXED] * 2
    assert FIXED not in a[:2]
    assert found.made == ("a", "b", "y")


def test_a_bound_above_0_and_outputs_are_not_scaled() -> None:
    graph = network()
    graph.constants["low"] = np.array(0.5, F)
    found = channels_of(graph, make_plan(graph))
    assert set(found.ids["r0"]) == {FIXED}


def test_scaled_observations_are_those_of_scaled_values() -> None:
    graph = network()
    plan = make_plan(graph)
    seen = observe(graph, samples_of(graph, 6))
    factors = np.array([1, 0.25, 0.5, 0.125, 1, 0.25, 0.5, 0.125])
    found = scaled(seen.tensors["r0"], factors)
    graph.constants["w0"] = graph.constants["w0"] / factors.reshape(8, 1, 1, 1).astype(F)
    graph.constants["b"] = UNEVEN / factors.astype(F)
    graph.constants["w1"] = graph.constants["w1"] * factors.reshape(8, 1, 1, 1).astype(F)
    graph.constants["high"] = np.array(1e9, F)
    wanted = observe(graph, samples_of(graph, 6)).tensors["r0"]
    assert plan.root("r0") == "r0"
    small = seen.tensors["r0"].channel_high < 6  # the others were clipped
    np.testing.assert_allclose(found.channel_high[small], wanted.channel_high[small], rtol=1e-5)
    np.testing.assert_allclose(found.channel_sum[small], wanted.channel_sum[small], rtol=1e-4)
    before = seen.tensors["r0"].histogram
    assert found.histogram.counts.sum() == pytest.approx(before.counts.sum(), abs=2)
    centres = found.histogram.centres()
    mean = (centres * found.histogram.counts).sum() / found.histogram.counts.sum()
    assert mean == pytest.approx(found.channel_sum.sum() / before.counts.sum(), rel=0.03)


def test_no_factors_change_nothing() -> None:
    graph = network(bounded=False)
    plan = make_plan(graph)
    none = Equalization.none(channels_of(graph, plan))
    assert none.lines() == {} == none.metadata(plan.tensors(graph))
    assert none.of("r0") is None


def test_moving_average_cannot_be_equalised() -> None:
    graph = network()
    seen = observe(graph, samples_of(graph, 2))
    settings = Settings.read({"equalize": True, "range": {"method": "moving_average"}})
    with pytest.raises(ModelbuildError, match=r"quantize\.equalize cannot go with"):
        quantize(graph, seen, settings, load_recipe("modalix").number_format)


def test_metadata_that_nobody_wrote_is_refused() -> None:
    with pytest.raises(ModelbuildError, match="is damaged"):
        factors_in({"modelbuild.equalized": '{"t": ["a"]}'})


def flattened() -> Graph:
    nodes = [
        Node("Conv", "conv", ["x", "w"], ["a"]),
        Node("Relu", "relu", ["a"], ["r"]),
        Node("Flatten", "flat", ["r"], ["f"]),
        Node("Gemm", "dense", ["f", "v"], ["y"]),
    ]
    constants = {"w": normal(8, 3, 1, 1) * UNEVEN.reshape(8, 1, 1, 1), "v": normal(8 * 36, 5, seed=2)}
    return graph_of(nodes, {"x": (1, 3, 6, 6)}, ["y"], constants)


def test_a_tensor_without_histograms_of_channels_is_scaled_too() -> None:
    """A Flatten has the scale of what it reads: what is estimated of both is the same."""
    graph = flattened()
    plan, seen = make_plan(graph), observe(graph, samples_of(graph, 24))
    channels = channels_of(graph, plan)
    values = np.ones(channels.count)
    values[channels.ids["r"]] = np.ceil(UNEVEN * ONE) / ONE
    found = Equalization(channels, values).observations(plan, seen).tensors
    histograms = [found[name].histogram for name in ("r", "f")]
    assert histograms[0].high == pytest.approx(histograms[1].high)
    assert histograms[1].counts.sum() == pytest.approx(histograms[0].counts.sum(), rel=0.01)
    form = TensorFormat(8, True, False, "free")
    grid = form.grid(0.0, histograms[0].high)
    noise = [activation_noise(dataclasses.replace(seen, tensors=found), name, form, grid) for name in "rf"]
    assert decibels(1.0, noise[1] or 0.0) == pytest.approx(decibels(1.0, noise[0] or 0.0), abs=1.0)
    ratios = [decibels(1.0, squares_of(one, form, grid)) for one in histograms]
    assert ratios[1] == pytest.approx(ratios[0], abs=1.0)


def squares_of(histogram: Histogram, form: TensorFormat, grid: tuple[float, int]) -> float:
    return float(squared_errors(histogram, histogram.counts.astype(float), form, [grid])[0])


def test_only_what_touches_a_scale_of_the_source_stays_as_it_is() -> None:
    nodes = [
        Node("Conv", "c0", ["x", "w0"], ["a"]),
        Node("Conv", "c1", ["a", "w1"], ["b"]),
        Node("Conv", "c2", ["b", "w2"], ["c"]),
        Node("Conv", "c3", ["c", "w3"], ["y"]),
    ]
    weights = {f"w{i}": normal(4, 4, 1, 1, seed=i) for i in range(4)}
    graph = graph_of(nodes, {"x": (1, 4, 5, 5)}, ["y"], weights)

    def free() -> set[str]:
        found = channels_of(graph, make_plan(graph)).ids
        return {name for name in "abc" if set(found[name]) != {FIXED}}

    assert free() == {"a", "b", "c"}
    keep(graph, {"a": Kept("int8", (0.1,), (0,))})
    assert free() == {"b", "c"}
    keep(graph, {"w3": Kept("int8", (0.1,), (0,))})
    assert free() == {"b"}


def test_channels_are_followed_without_copies_of_what_moves() -> None:
    """A large head, whose channels end last: ids of its cells would be as large as the tensor."""
    nodes = [
        Node("Conv", "c", ["x", "w"], ["a"]),
        Node("Transpose", "t", ["a"], ["y"], {"perm": [0, 2, 3, 1]}),
    ]
    graph = graph_of(nodes, {"x": (1, 3, 512, 512)}, ["y"], {"w": normal(21, 3, 1, 1)})
    plan = make_plan(graph)
    tracemalloc.start()
    channels_of(graph, plan)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 21 * 512 * 512 / 4


def padded(pads: list[int], value: float) -> Graph:
    nodes = [
        Node("Conv", "c0", ["x", "w"], ["a"]),
        Node("Pad", "pad", ["a", "pads", "value"], ["p"]),
        Node("Conv", "c1", ["p", "v"], ["y"]),
    ]
    count = 4 + pads[1] + pads[5]
    constants = {
        "w": normal(4, 3, 1, 1),
        "v": normal(2, count, 1, 1),
        "pads": longs(*pads),
        "value": np.array(value, F),
    }
    return graph_of(nodes, {"x": (1, 3, 5, 5)}, ["y"], constants)


@pytest.mark.parametrize(
    ("pads", "value", "free"),
    [
        ([0, 0, 1, 1, 0, 0, 1, 1], 0.0, True),
        ([0, 0, 1, 1, 0, 0, 1, 1], 0.5, False),
        ([0, 2, 0, 0, 0, 1, 0, 0], 0.0, False),
    ],
)
def test_factors_pass_only_padding_with_0_of_rows_and_columns(
    pads: list[int], value: float, free: bool
) -> None:
    graph = padded(pads, value)
    found = channels_of(graph, make_plan(graph)).ids
    assert (FIXED not in found["a"]) is free
    assert (FIXED not in found["p"]) is free


def test_of_a_product_the_gate_stays_as_it_is() -> None:
    nodes = [
        Node("Conv", "c0", ["x", "w"], ["a"]),
        Node("GlobalAveragePool", "mean", ["x"], ["m"]),
        Node("Conv", "c1", ["m", "w"], ["g"]),
        Node("Mul", "times", ["a", "g"], ["t"]),
        Node("Conv", "c2", ["t", "v"], ["y"]),
    ]
    constants = {"w": normal(4, 3, 1, 1), "v": normal(2, 4, 1, 1)}
    graph = graph_of(nodes, {"x": (1, 3, 5, 5)}, ["y"], constants)
    found = channels_of(graph, make_plan(graph)).ids
    assert set(found["g"]) == {FIXED} and FIXED not in found["a"]
    assert found["t"].tolist() == found["a"].tolist()


def chosen(given: dict[str, Any], samples: int = 6) -> set[str]:
    """The tensors that have factors."""
    graph = network()
    found = make(graph, "modalix", {"equalize": True, **given}, samples_of(graph, samples))
    return set(found.record.corrections.get("equalize", {}))


def test_given_ranges_and_16_bits_keep_a_group_as_it_is() -> None:
    assert chosen({}) == {"r0", "t2", "r1"}
    assert chosen({"ranges": {"r1": [0, 6]}}) == {"r0", "t2"}
    assert chosen({"nodes": {"r1": {"activations": "int16"}}}) == {"r0", "t2"}
    assert chosen({"ranges": {"s": [-6, 12]}}) == {"r1"}


def test_channels_of_few_values_are_not_judged() -> None:
    """144 a sample: the 256 that are wanted take two."""
    assert chosen({}, samples=1) == set() != chosen({}, samples=2)


def test_a_group_that_saves_next_to_nothing_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(equalize, "LEAST", 10.0)  # of the whole model's noise: no group saves so much
    assert chosen({}) == set()
    monkeypatch.setattr(equalize, "LEAST", 0.0)
    assert chosen({}) == {"r0", "t2", "r1"}
