"""What verify measures, and that it keeps nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from modelbuild.arithmetic.fixed_model import FixedModel
from modelbuild.arithmetic.multiplier_shift import run
from modelbuild.arithmetic.number import dequantize_array, quantize_array
from modelbuild.errors import ModelbuildError
from modelbuild.graph.model import Node
from modelbuild.graph.session import FloatSession
from modelbuild.quantize.verify import verify
from tests.quantize.cases import graph_of, make, normal


def classifier():
    nodes = [
        Node("Gemm", "hidden", ["x", "w"], ["h"]),
        Node("Relu", "relu", ["h"], ["r"]),
        Node("Gemm", "scores", ["r", "v"], ["y"]),
    ]
    return graph_of(nodes, {"x": (1, 6)}, ["y"], {"w": normal(6, 8), "v": normal(8, 7)})


MADE = make(classifier(), "modalix")


def test_numbers_are_those_of_the_two_models() -> None:
    labels = []
    signal = noise = 0.0
    for sample in MADE.samples:
        exact = FloatSession(MADE.graph).run(sample)["y"]
        x, y = MADE.fixed.tensors["x"], MADE.fixed.tensors["y"]
        found = dequantize_array(run(MADE.fixed, {"x": quantize_array(sample["x"], x)})["y"], y)
        signal += float(np.square(exact.astype(float)).sum())
        noise += float(np.square(exact.astype(float) - found).sum())
        labels.append(int(exact.argmax()))
    measured = verify(
        MADE.fixed, MADE.graph, iter(MADE.samples), labels, evaluation="street", optimistic=True
    )
    (output,) = measured["outputs"]
    assert output["name"] == "y"
    assert output["snr_db"] == pytest.approx(10 * np.log10(signal / noise), abs=1e-6)
    assert (measured["samples"], measured["evaluation"], measured["optimistic"]) == (4, "street", True)
    layers = {layer["name"]: layer for layer in measured["layers"]}
    assert set(layers) == {"r", "y"}
    assert layers["r"]["origin"] == ["hidden", "relu"] and layers["r"]["snr_db"] > 30
    accuracy = measured["accuracy"]
    assert accuracy["labelled"] == 4 and accuracy["float"]["top1"] == 1.0
    assert accuracy["drop"]["top1"] == pytest.approx(1.0 - accuracy["fixed"]["top1"])


def test_a_broken_model_measures_badly() -> None:
    broken = dict(MADE.fixed.constants)
    broken["scores/weight"] = np.zeros_like(broken["scores/weight"])
    fixed: FixedModel = replace(MADE.fixed, constants=broken)
    measured = verify(fixed, MADE.graph, iter(MADE.samples))
    assert measured["outputs"][0]["snr_db"] < 3
    assert measured["accuracy"] is None


def test_nan_and_infinity_name_tensor_and_sample() -> None:
    nodes = [Node("Log", "log", ["x"], ["l"]), Node("Relu", "relu", ["l"], ["y"])]
    good = {"x": np.array([[1.0, 2.0]], np.float32)}
    made = make(graph_of(nodes, {"x": (1, 2)}, ["y"]), samples=[good])
    for value, text in ((-1.0, "NaN"), (np.inf, "infinity")):
        bad = {"x": np.array([[1.0, value]], np.float32)}
        with pytest.raises(ModelbuildError, match=f"the tensor 'y' holds {text}") as caught:
            verify(made.fixed, made.graph, iter([good, bad]))
        assert caught.value.exit_code == 1 and "evaluation sample 2" in str(caught.value)


def test_wrong_calls_are_refused() -> None:
    with pytest.raises(ModelbuildError, match="no evaluation sample"):
        verify(MADE.fixed, MADE.graph, iter([]))
    with pytest.raises(ModelbuildError, match="3 labels for more samples"):
        verify(MADE.fixed, MADE.graph, iter(MADE.samples), [0, 1, 2])
    other = graph_of([Node("Relu", "relu", ["z"], ["y"])], {"z": (1, 6)}, ["y"])
    with pytest.raises(ModelbuildError, match="same inputs and outputs"):
        verify(MADE.fixed, other, iter(MADE.samples))


@pytest.mark.parametrize("label", [-1, 7])
def test_a_label_that_is_no_class_is_refused(label: int) -> None:
    with pytest.raises(ModelbuildError, match=f"the label {label} of evaluation sample 2") as caught:
        verify(MADE.fixed, MADE.graph, iter(MADE.samples), [0, label, 6, 6])
    assert caught.value.exit_code == 2 and "classes 0 to 6" in str(caught.value)
