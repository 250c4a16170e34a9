"""Cutting and renaming."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelbuild import importers
from modelbuild.errors import ModelbuildError
from modelbuild.graph import edits, onnx_io, shapes
from modelbuild.graph.edit_places import number_at
from modelbuild.graph.kept_quantization import Kept, keep, kept
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
        ([{"rename": {"x": "a"}}], "there is a `a` already do: take another name, or rename that one"),
        ([{"rename": {"a": "z", "b": "z"}}], "cannot call `a` and `b` `z`"),
        ([{"rename": {"a": "b", "neg_2": "a", "b": "neg_2", "y": "add_3"}}], "there is a `add_3` already"),
        ([{"rename": {"a": "q", "q": "z"}}], "no node `q` before this edit.*given at once"),
        ([{"cut": {"outputs": ["x"]}}], "`x` is an input of the model, and nothing computes it"),
        ([{"cut": {"outputs": ["c"]}}], "`c` is a constant"),
        ([{"cut": {"inputs": ["c"]}}], "`c` is a constant"),
    ],
)
def test_wrong_edits_are_named(listed: list[dict[str, Any]], words: str) -> None:
    with pytest.raises(ModelbuildError) as caught:
        edits.apply(model(), listed)
    assert caught.value.exit_code == 2
    assert re.search(words, " ".join(str(caught.value).split()))


@pytest.mark.parametrize("names", [{"a": "b", "b": "a"}, {"b": "a", "a": "b"}])
def test_two_tensors_change_their_names_with_each_other(names: dict[str, str]) -> None:
    """A manifest's mapping has no order, and its canonical form another one than the file."""
    found = edits.apply(model(), [{"rename": names}])
    assert [node.outputs for node in found.nodes] == [["b"], ["a"], ["d"], ["y"]]
    assert found.nodes[3].inputs == ["d", "b"]


@pytest.mark.parametrize("names", [{"a": "b", "b": "z"}, {"b": "z", "a": "b"}])
def test_a_name_that_is_given_up_is_free_in_any_order(names: dict[str, str]) -> None:
    found = edits.apply(model(), [{"rename": names}])
    assert [node.outputs for node in found.nodes] == [["b"], ["z"], ["d"], ["y"]]


def test_names_of_nodes_are_changed_with_each_other() -> None:
    found = edits.apply(model(), [{"rename": {"relu_0": "neg_2", "neg_2": "relu_0"}}])
    assert [node.name for node in found.nodes] == ["neg_2", "mul_1", "relu_0", "add_3"]


def test_quantization_follows_the_names_that_are_changed_with_each_other() -> None:
    before = model()
    keep(before, {"a": Kept("int8", (0.5,), (1,)), "d": Kept("int8", (9.0,), (9,))})
    found = edits.apply(before, [{"cut": {"outputs": ["b"]}}, {"rename": {"a": "b", "b": "a", "x": "d"}}])
    assert kept(found) == {"b": Kept("int8", (0.5,), (1,))}


def test_an_input_takes_nothing_from_a_tensor_that_is_gone() -> None:
    before = graph([("Relu", "x", "a"), ("Cast", "a", "d", {"to": 7}), ("Abs", "d", "y")])
    found = edits.apply(before, [{"cut": {"outputs": ["a"]}}, {"rename": {"x": "d"}}])
    assert found.dtypes["d"] == np.float32


def test_a_cut_before_the_import_names_its_edit(tmp_path: Path) -> None:
    """What leading cuts take away is deleted before the graph is made."""
    onnx_io.write(model(), tmp_path / "m.onnx")
    listed = [{"cut": {"outputs": ["d"]}}, {"cut": {"outputs": ["bb"]}}]
    with pytest.raises(ModelbuildError) as caught:
        importers.load(tmp_path / "m.onnx", None, listed)
    (problem,) = caught.value.problems
    assert (problem.where, problem.what[:15]) == (f"{tmp_path}/m.onnx: edit[2]", "edit 2 (`cut`):")
    assert number_at(problem.where) == 2
    with pytest.raises(ModelbuildError, match=r"edit 1 \(`cut`\): `x` is an input of the model"):
        importers.load(tmp_path / "m.onnx", None, [{"cut": {"outputs": ["x"]}}])


def test_the_given_graph_stays() -> None:
    before = model()
    edits.apply(before, [{"cut": {"outputs": ["b"]}}, {"rename": {"b": "z"}}])
    assert before.outputs == ["y"] and len(before.nodes) == 4


def test_a_cut_behind_one_output_of_several_keeps_the_node() -> None:
    """A Split without its first output is no Split: onnxruntime ends with it."""
    before = graph([("Split", "x", ["a", "b"], {"axis": 1}), ("Relu", "a", "c"), ("Add", "c b", "y")])
    found = edits.apply(before, [{"cut": {"inputs": ["a"]}}])
    assert found.inputs == ["a", "x"] and ops(found) == ["Split", "Relu", "Add"]
    x, a = numbers(1, 2, 4, 4), numbers(1, 1, 4, 4, seed=2)
    made = FloatSession(found).run({"x": x, "a": a})["y"]
    assert np.array_equal(made, np.maximum(a, 0) + x[:, 1:])


def test_a_cut_that_leaves_constants_alone_is_refused() -> None:
    before = graph([("Relu", "x", "y"), ("Identity", "k", "z")], {"k": 1.0})
    before.outputs = ["y", "z"]
    with pytest.raises(ModelbuildError, match="no output depends on an input"):
        edits.apply(before, [{"cut": {"outputs": ["z"]}}])


def test_an_input_that_is_an_output_may_stay_one(tmp_path: Path) -> None:
    before = graph([("Relu", "x", "a"), ("Neg", "a", "y")])
    before.outputs = ["y", "x"]
    listed = [{"cut": {"outputs": ["a", "x"]}}]
    assert edits.apply(before, listed).outputs == ["a", "x"]
    onnx_io.write(before, tmp_path / "m.onnx")
    assert importers.load(tmp_path / "m.onnx", None, listed).outputs == ["a", "x"]


def test_a_node_that_is_called_as_its_tensor_gets_the_new_name_too() -> None:
    """As in all TFLite and Keras models."""
    before = model()
    before.nodes[0].name = "a"
    found = edits.apply(before, [{"rename": {"a": "b", "b": "a"}}])
    assert (found.nodes[0].name, found.nodes[0].outputs, found.nodes[1].outputs) == ("b", ["b"], ["a"])
