"""Corrections from samples: AdaRound and SQuant on whole networks, sequential bias correction, the walk."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelbuild.arithmetic.multiplier_shift import FixedSession
from modelbuild.arithmetic.number import quantize_array
from modelbuild.chips.load import load_recipe
from modelbuild.errors import ModelbuildError
from modelbuild.graph.model import Graph, Node
from modelbuild.graph.session import FloatSession
from modelbuild.quantize import prefix
from modelbuild.quantize import record as records
from modelbuild.quantize.apply import apply
from modelbuild.quantize.assembly import Assembly
from modelbuild.quantize.number_format import formats_of
from modelbuild.quantize.patches import window_of
from modelbuild.quantize.plan import make_plan
from modelbuild.quantize.prefix import Prefix, samples_at_once
from modelbuild.quantize.record import Record
from modelbuild.quantize.refine import Wanted, refine
from modelbuild.quantize.settings import Settings
from modelbuild.quantize.verify import verify
from modelbuild.quantize.weighted import weighted
from tests.quantize.cases import CASES, Made, graph_of, make, normal, one_node, samples_of

INT4 = {"weights": "int4"}


def network() -> Graph:
    """Convolutions of every kind, and a matrix at the end."""
    nodes = [
        Node("Conv", "first", ["x", "a", "ab"], ["t"], {"pads": [1, 1, 1, 1]}),
        Node("Relu", "relu", ["t"], ["r"]),
        Node("Conv", "deep", ["r", "b"], ["d"], {"pads": [1, 1, 1, 1], "group": 16}),
        Node("Relu", "relu2", ["d"], ["e"]),
        Node("Conv", "point", ["e", "c", "cb"], ["p"], {"strides": [2, 2]}),
        Node("Add", "join", ["p", "q"], ["s"]),
        Node("Conv", "side", ["r", "f"], ["q"], {"strides": [2, 2]}),
        Node("Flatten", "flat", ["s"], ["v"]),
        Node("Gemm", "last", ["v", "g", "gb"], ["y"], {"transB": 1}),
    ]
    nodes[5], nodes[6] = nodes[6], nodes[5]
    constants = {
        "a": normal(16, 3, 3, 3, seed=2),
        "ab": normal(16, seed=3),
        "b": normal(16, 1, 3, 3, seed=4),
        "c": normal(8, 16, 1, 1, seed=5),
        "cb": normal(8, seed=6),
        "f": normal(8, 16, 1, 1, seed=7),
        "g": normal(10, 8 * 16, seed=8),
        "gb": normal(10, seed=9),
    }
    return graph_of(nodes, {"x": (1, 3, 8, 8)}, ["y"], constants)


def pictures(graph: Graph, count: int, seed: int = 0) -> list[dict[str, np.ndarray]]:
    """Neighbouring cells are alike."""
    made = samples_of(graph, count, seed)
    return [{"x": (sample["x"].cumsum(axis=2).cumsum(axis=3) / 6).astype(np.float32)} for sample in made]


def refined(
    made: Made, chip: str, settings: dict[str, Any], *, by_size: bool = False, **wanted: str
) -> Record:
    recipe = load_recipe(chip)
    read = Settings.read({**settings, **wanted})
    formats = formats_of(recipe.number_format, read)
    asked = Wanted.by(read, by_size)
    return refine(made.graph, made.record, formats, asked, made.observations, made.samples)


def snr(made: Made, record: Record, chip: str) -> float:
    fixed = apply(made.graph, {}, record, load_recipe(chip))
    fresh = pictures(made.graph, 32, seed=77)
    return float(verify(fixed, made.graph, iter(fresh))["outputs"][0]["snr_db"])


@pytest.fixture(scope="module")
def coarse() -> Made:
    graph = network()
    return make(graph, "kl530", INT4, pictures(graph, 48))


def test_a_range_of_weights_that_is_asked_for_stays() -> None:
    graph = one_node("Conv", (1, 8, 8, 8), w=normal(6, 8, 3, 3, seed=4), b=normal(6))

    def clip(**further: str) -> tuple[int, ...] | None:
        made = make(graph, "kl530", {**INT4, **further})
        formats = formats_of(load_recipe("kl530").number_format, Settings.read({**INT4, **further}))
        wanted = Wanted.by(Settings.read({**INT4, **further}), by_size=False)
        record = refine(graph, made.record, formats, wanted, made.observations, made.samples)
        assert record.by_name()["w"].method == "adaround"
        return record.corrections.get("clip", {}).get("y")

    least = make(graph, "kl530", {**INT4, "weights_range": "mse"}).record.corrections["clip"]["y"]
    assert clip(weights_range="mse") == least
    assert clip(weights_range="max") is None
    assert clip() not in (None, least)


def test_adaround_is_the_default_for_four_bits_and_pays(coarse: Made) -> None:
    record = refined(coarse, "kl530", INT4)
    assert {line.method for line in record.tensors if line.kind == "weight"} == {"adaround"}
    assert set(record.corrections["round"]) == {"r", "e", "p", "q", "y"}
    assert all(1 <= clip <= 128 for values in record.corrections["clip"].values() for clip in values)
    assert snr(coarse, record, "kl530") > snr(coarse, coarse.record, "kl530") + 2.5
    predicted = [line.output_snr_db for line in record.tensors if line.kind == "weight"]
    assert all(value is not None and 8 < value < 60 for value in predicted)


def test_the_record_alone_makes_the_model(coarse: Made) -> None:
    record = refined(coarse, "kl530", INT4)
    read = records.from_text(records.to_text(record))
    assert read == record
    one, other = (apply(coarse.graph, {}, given, load_recipe("kl530")) for given in (record, read))
    assert all((one.constants[name] == other.constants[name]).all() for name in one.constants)
    again = refined(coarse, "kl530", INT4)
    assert again == record


def test_weights_of_eight_bits_are_not_rounded_with_samples_unless_it_is_asked_for() -> None:
    graph = network()
    made = make(graph, "kl720", {}, pictures(graph, 24))
    plain = refined(made, "kl720", {}, bias_correction="sequential")
    assert plain.corrections["round"] == made.record.corrections["round"], "that of the first layer stays"
    assert list(plain.corrections["round"]) == ["r"] and "clip" not in plain.corrections
    assert plain.tensors == made.record.tensors
    rounded = refined(made, "kl720", {}, rounding="adaround")
    assert "round" in rounded.corrections and "clip" not in rounded.corrections
    squant = refined(made, "kl720", {}, rounding="squant")
    assert {line.method for line in squant.tensors if line.kind == "weight"} == {"squant"}


def test_weights_of_a_small_model_are_rounded_with_samples_but_not_those_of_16_bits() -> None:
    graph = network()
    settings = {"activations": "int16", "nodes": {"point": {"weights": "int16"}}}
    made = make(graph, "kl720", settings, pictures(graph, 24))
    record = refined(made, "kl720", settings, by_size=True)
    methods = {line.name: line.method for line in record.tensors if line.kind == "weight"}
    assert methods.pop("c") == made.record.by_name()["c"].method
    assert set(methods.values()) == {"adaround"}
    assert snr(made, record, "kl720") > snr(made, made.record, "kl720") + 2


def test_what_has_no_patches_stays_as_it_is_where_nobody_asks_for_rounding() -> None:
    made = make(CASES["conv_transpose"][0](), "kl720")
    (usual,) = [line for line in made.record.tensors if line.kind == "weight"]
    (unasked,) = [line for line in refined(made, "kl720", {}, by_size=True).tensors if line.kind == "weight"]
    assert unasked.method == usual.method
    (asked,) = [
        line for line in refined(made, "kl720", {}, rounding="adaround").tensors if line.kind == "weight"
    ]
    assert asked.method == "squant"


def test_sequential_correction_takes_out_what_the_inputs_errors_leave() -> None:
    """Activations of few steps: the mean of the output is off by what the tensors before it have lost."""
    graph = network()
    made = make(graph, "kl530", INT4, pictures(graph, 48))
    means = {}
    for bias in ("none", "parallel", "sequential"):
        record = refined(made, "kl530", INT4, bias_correction=bias)
        fixed = FixedSession(apply(graph, {}, record, load_recipe("kl530")))
        scale = record.by_name()["y"].scale
        assert scale is not None
        total = 0.0
        for sample in made.samples:
            codes = quantize_array(sample["x"], fixed.model.tensors["x"])
            total = total + fixed.run({"x": codes})["y"] * scale / len(made.samples)
        means[bias] = float(np.abs(total.ravel() - made.observations.tensors["y"].channel_mean).mean())
    assert means["sequential"] < means["parallel"] < means["none"]
    assert "bias" not in refined(made, "kl530", INT4, bias_correction="none").corrections


@pytest.mark.parametrize(
    "case", ["conv_one_axis", "conv_transpose", "gemm", "matmul_constant", "conv_same_upper"]
)
def test_every_weighted_operator(case: str) -> None:
    made = make(CASES[case][0](), "kl530", INT4)
    record = refined(made, "kl530", INT4)
    (line,) = [line for line in record.tensors if line.kind == "weight"]
    assert line.method == ("squant" if case == "conv_transpose" else "adaround")
    measured = verify(apply(made.graph, {}, record, load_recipe("kl530")), made.graph, iter(made.samples))
    assert measured["outputs"][0]["snr_db"] > 12


def test_patches_are_what_a_convolution_multiplies() -> None:
    for case in (
        "conv",
        "conv_strided_asymmetric",
        "conv_dilated_grouped",
        "conv_depthwise",
        "gemm_transposed",
    ):
        made = make(CASES[case][0](), "modalix")
        (node,) = made.graph.nodes
        found = weighted(made.graph, node)
        assert found is not None
        window = window_of(made.graph, node, found, "x")
        assert window is not None
        patches = window.patches(made.samples[0]["x"], np.arange(window.places))
        rows = found.weight.reshape(window.groups, -1, window.width)
        products = np.einsum("ngk,gok->ngo", patches, rows).reshape(len(patches), -1) + found.bias
        expected = FloatSession(made.graph).run(made.samples[0])["y"]
        if expected.ndim == 4:
            expected = expected.transpose(0, 2, 3, 1)
        np.testing.assert_allclose(products, expected.reshape(products.shape), rtol=1e-4, atol=1e-4)


def test_the_walk_computes_what_the_whole_model_does(coarse: Made) -> None:
    recipe = load_recipe("kl530")
    formats = formats_of(recipe.number_format, Settings.read(INT4))
    plan = make_plan(coarse.graph)
    assembly = Assembly(coarse.graph, plan, coarse.record, formats, {})
    walk = Prefix(assembly, plan, coarse.samples[:2])
    whole = FixedSession(coarse.fixed)
    expected = [
        whole.run({"x": quantize_array(sample["x"], coarse.fixed.tensors["x"])}, "all")
        for sample in coarse.samples[:2]
    ]
    for index, step in enumerate(plan.steps):
        assembly.begin(step)
        walk.build(index, step)
        for found, known in zip(walk.values(step.outputs[0]), expected, strict=True):
            assert (found == known[step.outputs[0]]).all()


def test_samples_are_as_many_as_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = network()
    plan = make_plan(graph)
    assert samples_at_once(graph, plan) == prefix.MOST_SAMPLES
    monkeypatch.setattr(prefix, "MEMORY", 20_000)  # x and r: 192 + 1,024 cells; r, d's: 2,048
    assert prefix.FEWEST_SAMPLES < samples_at_once(graph, plan) < 20
    monkeypatch.setattr(prefix, "MEMORY", 1)
    assert samples_at_once(graph, plan) == prefix.FEWEST_SAMPLES


def test_rounding_that_does_not_fit_the_model_is_refused(coarse: Made) -> None:
    for packed in ((99, 1), (0, 1 << 27)):
        record = replace(coarse.record, corrections={"round": {"r": packed}})
        with pytest.raises(ModelbuildError, match=r"is not one of 16|bits are set beyond"):
            apply(coarse.graph, {}, record, load_recipe("kl530"))


def test_a_dead_input_and_dead_weights_are_safe() -> None:
    weight = normal(4, 3, 1, 1)
    weight[1] = 0.0
    graph = one_node("Conv", (1, 3, 4, 4), w=weight)
    samples = [{"x": np.zeros((1, 3, 4, 4), np.float32)} for _ in range(2)]
    made = make(graph, "kl530", INT4, samples)
    record = refined(made, "kl530", INT4)
    assert record.by_name()["w"].output_snr_db is None
    assert apply(graph, {}, record, load_recipe("kl530")).operators[0].kind == "conv"


PROGRAM = """
from tests.quantize import test_refine as t
from modelbuild.quantize import record
graph = t.network()
made = t.make(graph, "kl530", t.INT4, t.pictures(graph, 8))
print(record.to_text(t.refined(made, "kl530", t.INT4)))
print(record.to_text(t.make(graph, "modalix", {}, t.pictures(graph, 8)).record))
"""


@pytest.mark.usefixtures("all_processors")
def test_another_blas_and_more_threads_make_the_same_record() -> None:
    """The model's float inference is a part of it, so small a one that no sum of it decides a rounding."""
    found = set()
    for threads, kernels in (("1", "Haswell"), ("2", "Prescott")):
        names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
        environment = {**os.environ, **dict.fromkeys(names, threads), "OPENBLAS_CORETYPE": kernels}
        root = Path(__file__).parents[2]
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM], cwd=root, env=environment, capture_output=True, check=True
        )
        found.add(done.stdout)
    (text,) = found
    assert b"  adaround " in text and b"  observed " in text and b"correct round" in text


@pytest.mark.parametrize("given", [{"rounding": "up"}, {"bias_correction": "regular"}])
def test_values_that_do_not_exist(given: dict[str, Any]) -> None:
    with pytest.raises(ModelbuildError, match="is not one of"):
        Settings.read(given)
