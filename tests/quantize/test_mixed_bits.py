"""Formats by name: what the settings say, and the fixed model that stands on it, down to the simulator."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelbuild.arithmetic.multiplier_shift import run
from modelbuild.chips.load import load_recipe
from modelbuild.errors import ModelbuildError
from modelbuild.graph.model import Node
from modelbuild.graph.session import FloatSession
from modelbuild.npu.compiler import compile_model
from modelbuild.npu.simulator import simulate
from modelbuild.quantize import fixed_onnx
from modelbuild.quantize.apply import apply
from modelbuild.quantize.mixed import quantize_mixed
from modelbuild.quantize.record import from_text, to_text
from modelbuild.quantize.settings import Settings
from tests.arithmetic import oracle
from tests.quantize.cases import Made, graph_of, make, normal
from tests.quantize.mixed_cases import (
    NODES,
    integers,
    network,
    observations,
    quantized,
    samples,
    snr,
    types,
    wide,
)

ACTIVATIONS = st.sampled_from(["int8", "int16"])
# Nodes whose tensors can be chosen alone: `flat` and `pool` share a scale with what they read.
FREE = st.sampled_from(["first", "deep", "sum", "left", "join", "scale", "mean", "dense"])


def overrides(weights: tuple[str, ...]) -> st.SearchStrategy[dict[str, dict[str, str]]]:
    own = st.dictionaries(FREE, st.fixed_dictionaries({"activations": ACTIVATIONS}))
    constants = st.dictionaries(
        st.sampled_from(sorted(NODES)), st.fixed_dictionaries({"weights": st.sampled_from(weights)})
    )

    def merged(two: tuple[dict[str, dict[str, str]], dict[str, dict[str, str]]]) -> dict[str, dict[str, str]]:
        return {name: {**two[0].get(name, {}), **two[1].get(name, {})} for name in {**two[0], **two[1]}}

    return st.tuples(own, constants).map(merged)


@pytest.mark.parametrize(
    ("chip", "weights"),
    [("kl720", ("int8", "int16")), ("kl530", ("int4", "int8", "int16")), ("modalix", ("int8", "int16"))],
)
@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_any_mixture_is_one_arithmetic(chip: str, weights: tuple[str, ...], data: st.DataObject) -> None:
    """Kernels, the scalar oracle and the simulated program agree in every bit of every layer."""
    nodes = data.draw(overrides(weights))
    ports = data.draw(st.fixed_dictionaries({}, optional={"inputs": ACTIVATIONS, "outputs": ACTIVATIONS}))
    if "dense" in nodes:
        nodes["dense"].pop("activations", None)
    given_settings: dict[str, Any] = {"nodes": {n: f for n, f in nodes.items() if f}, **ports}
    record = from_text(to_text(quantized(given_settings, chip)))
    recipe = load_recipe(chip)
    fixed = apply(network(), {}, record, recipe)
    fed = integers(samples()[0], record)
    found = run(fixed, fed, "all")
    expected = oracle.run(fixed, fed)
    program = compile_model(fixed, recipe, {})
    simulated = simulate(program.command, program.weights, program.host, fed, keep_layers=True)
    for name, values in found.items():
        assert values.dtype == fixed.tensors[name].dtype
        np.testing.assert_array_equal(values, expected[name], err_msg=name)
    for name in fixed.outputs:
        np.testing.assert_array_equal(simulated.outputs[name], found[name], err_msg=name)
    again = fixed_onnx.from_bytes(fixed_onnx.to_bytes(fixed))
    np.testing.assert_array_equal(run(again, fed)["y"], found["y"])


def test_formats_by_name() -> None:
    record = quantized(
        {
            "inputs": "int16",
            "nodes": {"deep": {"activations": "int16", "weights": "int16"}, "pool": {"activations": "int16"}},
        }
    )
    assert wide(record) == {"x", "c", "w2", "d", "e"}  # the pool's scale and bits are those of the sum
    fixed = apply(network(), {}, record, load_recipe("kl720"))
    bits = {name: fixed.tensors[name].bits for name in ("x", "b", "c", "d", "e", "f", "y")}
    assert bits == {"x": 16, "b": 8, "c": 16, "d": 16, "e": 16, "f": 8, "y": 8}
    deep = next(op for op in fixed.operators if op.origin == ("deep",))
    assert fixed.constants[deep.constants["weight"]].dtype == np.int16
    assert fixed.constants[deep.constants["bias"]].dtype == np.int64
    assert record.to_json()["activations"] == "mixed"


def test_a_node_goes_by_what_it_leaves_too() -> None:
    assert wide(quantized({"nodes": {"c": {"activations": "int16"}}})) == {"c"}
    assert wide(quantized({"nodes": {"relu": {"activations": "int16"}}})) == {"b"}


def test_a_node_goes_by_the_sources_name_and_stands_for_all_that_it_became() -> None:
    graph = network()
    for node in graph.nodes:
        node.origin = ("block",) if node.name in ("left", "right") else (node.name,)
    chip = load_recipe("kl720").number_format
    chosen = Settings.read({"nodes": {"block": {"weights": "int16"}}})
    assert wide(quantize_mixed(graph, observations(), chosen, chip)) == {"w3", "w4"}


def test_four_bits_beside_eight() -> None:
    record = quantized({"nodes": {"left": {"weights": "int4"}}}, "kl530")
    assert types(record)["w3"] == "int4"
    fixed = apply(network(), {}, record, load_recipe("kl530"))
    left = next(op for op in fixed.operators if op.origin == ("left",))
    assert np.abs(fixed.constants[left.constants["weight"]]).max() <= 7


def test_wide_layers_are_more_exact() -> None:
    """All of them in 16 bits but one, and the error that is left is that one's."""
    assert snr(quantized({"activations": "int16", "weights": "int16"})) > snr(quantized({})) + 15


def test_cpu_nodes() -> None:
    units = {node.name: "npu" for node in network().nodes} | {"scale": "cpu"}
    assert wide(quantized({"cpu_nodes": "int16"}, units=units)) == {"j"}
    assert {"x", "j", "y"} <= wide(quantized({"mode": "mixbw", "flops_ratio": 0}, units=units))


def test_onnxruntime_runs_the_file_of_a_mixture() -> None:
    record = quantized({"nodes": {"deep": {"activations": "int16"}, "right": {"weights": "int16"}}})
    fixed = apply(network(), {}, record, load_recipe("kl720"))
    sample = samples()[0]
    (found,) = FloatSession(fixed_onnx.to_bytes(fixed)).run(sample).values()
    exact = run(fixed, integers(sample, record))["y"] * fixed.tensors["y"].scale
    assert np.abs(found - exact).max() <= 1.01 * fixed.tensors["y"].scale


def test_rules_of_channels() -> None:
    """Layers of 6 and 5 channels are the small ones; with mix_balance nearly all are."""
    light, balance = quantized({"mode": "mix light"}), quantized({"mode": "mix_balance"})
    assert wide(light) < wide(balance)
    assert {"y", "w5"} <= wide(light) and "w1" not in wide(light)
    weights_alone = quantized({"mode": "mix_balance", "activations": "int8", "weights": "mixed"})
    assert wide(weights_alone) == {name for name in wide(balance) if name.startswith("w")}


def of_one_width() -> Made:
    """Four convolutions of four channels each."""
    nodes = [Node("Conv", f"c{i}", [f"t{i}", f"w{i}"], [f"t{i + 1}"]) for i in range(4)]
    weights = {f"w{i}": normal(4, 4, 1, 1, seed=i) for i in range(4)}
    return make(graph_of(nodes, {"t0": (1, 4, 6, 6)}, ["t4"], weights), "kl720", {"mode": "mix_light"})


def test_a_quarter_of_layers_of_one_width_is_a_quarter() -> None:
    assert wide(of_one_width().record) == {"t1", "w0"}


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"nodes": {"firts": {"weights": "int16"}}}, "did you mean `first`"),
        ({"nodes": {"sum": {"weights": "int16"}}}, "'sum' has no weights"),
        ({"nodes": {"sum": {"activations": "int16"}, "pool": {"activations": "int8"}}}, "share its scale"),
        ({"nodes": {"sum": {"activations": "uint8"}}}, "uint8 for 'd' is not available"),
        ({"nodes": {"left": {"weights": "int4"}}}, "int4 for 'w3' is not available"),
        ({"outputs": {"z": "int16"}}, "there is no 'z'"),
        ({"flops_ratio": 0.3}, "goes with `mode: mixbw`"),
        ({"mode": "mixbw", "inputs": "int8"}, "all is int16, not int8"),
        ({"mode": "mixbw", "cpu_nodes": "int8"}, "all is int16, not int8"),
        ({"mode": "mixbw", "weights": "int8"}, "it is int16, or chosen as well"),
        ({"mode": "mix_light", "weights": "int8", "activations": "int8"}, "has nothing to choose"),
        ({"activations": "mixed"}, "needs a `mode`"),
        ({"mode": "mix heavy"}, "is not a mode"),
        ({"mode": "auto"}, "which accuracy is wanted"),
    ],
)
def test_refusals(given: dict[str, Any], text: str) -> None:
    with pytest.raises(ModelbuildError, match=text) as caught:
        quantized(given)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("nodes", "place"),
    [
        ({"sum": {"weights": "int16"}}, "sum"),
        ({"sum": {"activations": "int16"}, "pool": {"activations": "int8"}}, "pool"),
    ],
)
def test_refusals_of_nodes_have_their_place(nodes: dict[str, Any], place: str) -> None:
    with pytest.raises(ModelbuildError) as caught:
        quantized({"nodes": nodes})
    (problem,) = caught.value.problems
    assert problem.where == f"quantize.nodes.{place}" and problem.advice


@pytest.mark.parametrize("mode", ["auto", "mix light", "mix balance", "mixbw"])
def test_no_mode_on_a_chip_of_eight_bits(mode: str) -> None:
    with pytest.raises(ModelbuildError, match="needs int16, which this chip does not have"):
        quantized({"mode": mode}, "kl520")


def test_a_record_of_a_type_that_the_chip_lacks() -> None:
    record = quantized({"nodes": {"left": {"weights": "int4"}}}, "kl530")
    with pytest.raises(ModelbuildError, match="int4, which this chip does not have"):
        apply(network(), {}, record, load_recipe("kl720"))
