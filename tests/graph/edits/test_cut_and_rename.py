"""Cutting and renaming."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from modelbuild.errors import ModelbuildError
from modelbuild.graph import edits, shapes
from modelbuild.graph.session import FloatSession
from tests.graph.small import graph, numbers, ops

STEPS = [("Relu", "x", "a"), ("Mul", "a c", "b"), ("Neg", "b", "d"), ("Add", "d a", "y")]


def model() -> Any:
    return graph(STEPS, {"c": 2.0})


@pytest.mark.parametrize("name", ["b", "mul_1"])
def test_cut_at_a_tensor_or_node_makes_it_the_output(name: str) -> None:
    found = edits.apply(model(), [{"cut": {"outputs": [name]}}])
    assert ops(found) == ["Relu", "Mul"]
    assert found.outputs == ["b"]
    assert FloatSession(found).run({"x": np.ones((1, 2, 4, 4), np.float32)})["b"].max() == 2


def test_cut_at_inputs_drops_what_lies_before() -> None:
    found = edits.apply(model(), [{"cut": {"inputs": ["b", "a"]}}])
    assert ops(found) == ["Neg", "Add"]
    assert found.inputs == ["b", "a"]
    shapes.infer(found)
    assert found.shapes["b"] == (1, 2, 4, 4)


def test_a_node_as_input_means_what_it_reads() -> None:
    found = edits.apply(model(), [{"cut": {"inputs": ["mul_1"], "outputs": ["neg_2"]}}])
    assert (found.inputs, found.outputs, ops(found)) == (["a"], ["d"], ["Mul", "Neg"])


def test_rename_tensors_and_nodes() -> None:
    found = edits.apply(model(), [{"rename": {"x": "image", "y": "scores", "neg_2": "minus"}}])
    assert (found.inputs, found.outputs) == (["image"], ["scores"])
    assert found.nodes[2].name == "minus"
    x = numbers(1, 2, 4, 4)
    assert np.array_equal(
        FloatSession(found).run({"image": x})["scores"], FloatSession(model()).run({"x": x})["y"]
    )


@pytest.mark.parametrize(
    ("listed", "words"),
    [
        ([{"cut": {"outputs": ["neg_3"]}}], "no tensor and no node `neg_3`.*did you mean.*`neg_2`"),
        ([{"cut": {"output": ["b"]}}], "`cut` needs `inputs` or `outputs`"),
        ([{"cut": {"outputs": "b"}}], "must be a list"),
        ([{"cut": {"inputs": ["y"], "outputs": ["b"]}}], "no output depends on `y`"),
        ([{"cut": {"inputs": ["add_3"], "outputs": ["b"]}}], "no output depends on `d`"),
        ([{"cutt": {}}], "`cutt` is not supported.*did you mean `cut`"),
        ([{"tails": "auto"}], "`tails` is not supported.*did you mean `tail`"),
        ([{"rename": {"q": "z"}}], "no tensor and no node `q`"),
        ([{"rename": {"x": "a"}}], "there is a `a` already"),
    ],
)
def test_wrong_edits_are_named(listed: list[dict[str, Any]], words: str) -> None:
    with pytest.raises(ModelbuildError) as caught:
        edits.apply(model(), listed)
    assert caught.value.exit_code == 2
    assert re.search(words, " ".join(str(caught.value).split()))


def test_the_given_graph_stays() -> None:
    before = model()
    edits.apply(before, [{"cut": {"outputs": ["b"]}}, {"rename": {"b": "z"}}])
    assert before.outputs == ["y"] and len(before.nodes) == 4
