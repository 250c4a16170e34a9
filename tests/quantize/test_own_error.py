"""What a layer adds itself: nothing where it only passes on the errors before it."""

from __future__ import annotations

import numpy as np
import pytest

from modelbuild.arithmetic.multiplier_shift import run
from modelbuild.arithmetic.number import dequantize_array
from modelbuild.chips.load import load_recipe
from modelbuild.graph.model import Node
from modelbuild.quantize.apply import apply
from modelbuild.quantize.own_error import OwnErrors
from modelbuild.quantize.record import Record
from tests.quantize.cases import graph_of
from tests.quantize.mixed_cases import integers, network, quantized, samples


def own_errors(record: Record) -> dict[str, float]:
    fixed = apply(network(), {}, record, load_recipe("kl720"))
    errors: OwnErrors | None = None
    for sample in samples():
        found = run(fixed, fed := integers(sample, record), "all")
        values = {name: dequantize_array(v, fixed.tensors[name]) for name, v in {**fed, **found}.items()}
        errors = errors or OwnErrors(network(), values.keys())
        errors.add(values)
    assert errors is not None
    return {entry["name"]: entry["own_snr_db"] for entry in errors.to_json()}


def test_only_the_layer_with_coarse_weights_is_worse() -> None:
    """All in 16 bits but one layer: its tensor stands out, those behind it pass its error on."""
    others = {"activations": "int16", "weights": "int16", "range": {"method": "minmax"}}
    found = own_errors(quantized({**others, "nodes": {"deep": {"activations": "int8", "weights": "int8"}}}))
    assert found["c"] < 45 < min(found[name] for name in ("b", "d", "f", "g", "h", "y"))


def test_what_moves_integers_adds_nothing() -> None:
    found = own_errors(quantized({}))
    assert found["e"] == found["l"] == 200.0
    assert set(found) == {"b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "y"}


def test_layers_whose_tensors_are_not_shown_are_left_out() -> None:
    errors = OwnErrors(network(), ["b", "c", "d"])
    ones = np.ones((1, 8, 8, 8), np.float32)
    errors.add({"b": ones, "c": ones, "d": ones * 2.2})
    found = {entry["name"]: entry for entry in errors.to_json()}
    assert set(found) == {"c", "d"}  # what leaves b reads x
    assert (found["d"]["node"], found["d"]["op"]) == ("sum", "Add")
    assert found["d"]["own_snr_db"] == pytest.approx(20.0, abs=0.01)
    OwnErrors(network(), []).add({})


def test_a_tensor_may_have_any_name() -> None:
    nodes = [Node("Relu", "r", ["x"], ["x/fed"]), Node("Tanh", "t", ["x/fed"], ["y"])]
    graph = graph_of(nodes, {"x": (1, 3)}, ["y"])
    x = np.array([[-1.0, 0.5, 2.0]], np.float32)
    errors = OwnErrors(graph, ["x", "x/fed", "y"])
    errors.add({"x": x, "x/fed": np.maximum(x, 0), "y": np.tanh(np.maximum(x, 0))})
    assert [entry["own_snr_db"] > 100 for entry in errors.to_json()] == [True, True]
