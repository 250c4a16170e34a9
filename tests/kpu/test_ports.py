"""Inputs and outputs of bytes: the layers' own, converted nowhere, also in the vendor's simulator."""

from __future__ import annotations

from typing import Any

import pytest

from modelbuild.arithmetic.number import quantize_array
from modelbuild.chips.load import load_recipe
from modelbuild.errors import ModelbuildError
from modelbuild.graph.model import Graph, Node
from modelbuild.kpu.predicting.prediction import predict
from modelbuild.npu.predicting.assumptions import Options
from modelbuild.quantize.verify import verify
from tests.kpu.emitting.running import check_judged, check_simulated, compiled
from tests.kpu.lowering.made import Lowered, conv, lowered, network, weights

BOTH = {"inputs": {"*": "uint8"}, "outputs": {"*": "uint8"}}


def branches() -> Graph:
    """`x` is read by a layer and as floats; `y` is a layer's, `s` a sum of floats, `m` is read by a layer."""
    nodes = [
        conv("x", "m", "w"),
        conv("m", "y", "v"),
        Node("Add", "sum", ["x", "y"], ["s"]),
    ]
    return network(nodes, (1, 3, 8, 8), weights(w=(3, 3, 3, 3), v=(3, 3, 3, 3)), "y", "s", "m")


def codes(made: Lowered, sample: dict[str, Any]) -> dict[str, Any]:
    tensors = made.fixed.tensors
    return {
        name: values if tensors[name].floating else quantize_array(values, tensors[name])
        for name, values in sample.items()
    }


@pytest.mark.parametrize(
    ("ports", "floating", "conversions"),
    [
        ({}, "x y s m", 3),
        (BOTH, "", 3),
        ({"inputs": {"*": "uint8"}}, "y s m", 3),
        ({"outputs": {"y": "uint8", "m": "uint8"}}, "x s", 2),
    ],
)
def test_ports_hold_what_is_asked_for(ports: Any, floating: str, conversions: int) -> None:
    made = lowered(branches(), ports=ports)
    assert {name for name in ("x", "y", "s", "m") if made.fixed.tensors[name].floating} == {*floating.split()}
    assert len(made.kinds("quantize", "dequantize")) == conversions
    measured = verify(made.fixed, made.graph, iter(made.samples))
    assert min(output["snr_db"] for output in measured["outputs"]) > 28
    values, kmodel = codes(made, made.samples[0]), compiled(made.fixed)
    check_simulated(made.fixed, values, kmodel)
    check_judged(made.fixed, values, kmodel)


def test_a_network_of_one_layer_converts_nothing() -> None:
    made = lowered(network([conv("x", "y", "w")], (1, 3, 8, 8), weights(w=(4, 3, 3, 3))), ports=BOTH)
    assert [operator.kind for operator in made.fixed.operators] == ["kpu_conv"]
    assert made.fixed.tensors.keys() == {"x", "y"}


def test_a_prediction_has_the_same_ports() -> None:
    graph, recipe = network([conv("x", "y", "w")], (1, 3, 8, 8), weights(w=(4, 3, 3, 3))), load_recipe("k210")
    found = predict(graph, {"conv_y": "npu"}, recipe, Options(ports=BOTH))
    assert [operator.kind for operator in found.model.operators] == ["kpu_conv"]


def test_ports_that_there_are_not_are_named() -> None:
    with pytest.raises(ModelbuildError, match=r"quantize\.outputs: there is no 'z'"):
        lowered(branches(), ports={"outputs": {"z": "uint8"}})
