"""Taking nodes out, and putting nodes in."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelbuild.errors import ModelbuildError
from modelbuild.graph import edits
from modelbuild.graph.session import FloatSession
from tests.graph.small import graph, numbers, only, ops

STEPS = [("Relu", "x", "a"), ("Mul", "a c", "b"), ("Neg", "b", "d"), ("Add", "d a", "y")]
HALF_OF_FOUR = {"scale": [1, 1], "bias": [0, 0], "mean": [0, 0]}
X = numbers(1, 2, 4, 4)


def model() -> Any:
    return graph(STEPS, {"c": 2.0})


def run(found: Any, x: Any = X) -> Any:
    return FloatSession(found).run({"x": x})[found.outputs[0]]


def test_removed_nodes_pass_on_what_they_read() -> None:
    found = edits.apply(model(), [{"remove": {"nodes": ["neg_2"], "types": "Mul"}}])
    assert ops(found) == ["Relu", "Add"]
    assert np.array_equal(run(found), 2 * np.maximum(X, 0))
    assert "c" not in found.constants


def test_an_output_keeps_its_name() -> None:
    chain = graph([("Relu", "x", "a"), ("Softmax", "a", "prob")])
    found = edits.apply(chain, [{"remove": {"types": ["Softmax"]}}])
    assert (found.outputs, ops(found)) == (["prob"], ["Relu"])
    assert np.array_equal(run(found), np.maximum(X, 0))


def test_other_shapes_pass_where_what_follows_takes_them() -> None:
    flat = {"s": np.array([1, 32], np.int64)}
    chain = graph([("Relu", "x", "a"), ("Reshape", "a s", "b"), ("Neg", "b", "y")], flat)
    found = edits.apply(chain, [{"remove": {"types": ["Reshape"]}}])
    assert found.shapes["y"] == (1, 2, 4, 4)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"nodes": ["neg_3"]}, "no node `neg_3`.*did you mean `neg_2`"),
        ({"types": ["Mull"]}, "no node of the type `Mull`.*did you mean `Mul`"),
        ({"nodes": ["add_3"]}, r"it reads 2 tensors \(d, a\)"),
        ({}, "needs `nodes` or `types`"),
        ({"node": "a"}, "no key `node`"),
        ({"nodes": 3}, "must be a list of names"),
    ],
)
def test_what_cannot_be_removed_is_told(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ModelbuildError) as caught:
        edits.apply(model(), [{"remove": settings}])
    assert re.search(words, " ".join(str(caught.value).split()))


def test_a_shape_that_does_not_fit_names_both_nodes() -> None:
    steps = [("Relu", "x", "a"), ("Reshape", "a s", "b"), ("Gemm", "b w", "y")]
    chain = graph(steps, {"s": np.array([1, 32], np.int64), "w": numbers(32, 3)})
    with pytest.raises(ModelbuildError) as caught:
        edits.apply(chain, [{"remove": {"types": ["Reshape"]}}])
    text = " ".join(str(caught.value).split())
    assert "Reshape `reshape_1` cannot be removed: it makes float32 [1, 32] of float32 [1, 2, 4, 4]" in text
    assert "Gemm `gemm_2`" in text


def test_the_only_node_between_input_and_output_stays() -> None:
    with pytest.raises(ModelbuildError, match="output `y` would be its input `x`"):
        edits.apply(graph([("Relu", "x", "y")]), [{"remove": {"types": ["Relu"]}}])


def test_a_plain_operator_behind_an_inner_tensor() -> None:
    found = edits.apply(
        model(), [{"insert": {"at": "mul_1", "op": "Clip", "constants": {"min": 0, "max": 0.5}}}]
    )
    assert ops(found) == ["Relu", "Mul", "Clip", "Neg", "Add"]
    assert np.allclose(run(found), np.maximum(X, 0) - np.clip(2 * np.maximum(X, 0), 0, 0.5))


def test_an_operator_at_an_output_keeps_the_output() -> None:
    found = edits.apply(
        model(), [{"insert": {"at": "y", "op": "Softmax", "name": "soft", "attributes": {"axis": 1}}}]
    )
    assert found.outputs == ["y"]
    assert (only(found, "Softmax").name, only(found, "Softmax").attributes) == ("soft", {"axis": 1})
    assert np.allclose(run(found).sum(1), 1)


def test_a_convolution_from_a_file(tmp_path: Path) -> None:
    weight, bias = numbers(3, 2, 3, 3), numbers(3)
    np.savez(tmp_path / "w.npz", weight=weight.astype(np.float64), bias=bias)
    before = graph([("Relu", "x", "a"), ("Neg", "a", "y")])
    settings = {
        "at": "a",
        "op": "Conv",
        "weights": str(tmp_path / "w.npz"),
        "attributes": {"pads": [1, 1, 1, 1]},
    }
    found = edits.apply(before, [{"insert": settings}])
    assert found.shapes["y"] == (1, 3, 4, 4)
    by_hand = graph(
        [("Relu", "x", "a"), ("Conv", "a w b", "c", {"pads": [1, 1, 1, 1]}), ("Neg", "c", "y")],
        {"w": weight, "b": bias},
    )
    assert np.array_equal(run(found), run(by_hand))


def test_an_npy_is_the_first_constant(tmp_path: Path) -> None:
    np.save(tmp_path / "w.npy", np.asfortranarray(numbers(2, 2, 1, 1)))
    found = edits.apply(
        graph([("Relu", "x", "y")]),
        [{"insert": {"at": "y", "op": "Conv", "weights": str(tmp_path / "w.npy")}}],
    )
    assert np.array_equal(found.constants[only(found, "Conv").inputs[1]], numbers(2, 2, 1, 1))


def test_a_batch_normalization_of_scale_and_bias_is_exact() -> None:
    constants = {"scale": [2, 3], "bias": [1, -1]}
    found = edits.apply(
        graph([("Relu", "x", "y")]),
        [{"insert": {"at": "x", "op": "BatchNormalization", "constants": constants}}],
    )
    scaled = X * np.array([2, 3], np.float32).reshape(1, 2, 1, 1) + np.array([1, -1], np.float32).reshape(
        1, 2, 1, 1
    )
    assert np.array_equal(run(found), np.maximum(scaled, 0))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"at": "a"}, "`insert` needs `op`"),
        ({"at": "q", "op": "Relu"}, "no tensor and no node `q`"),
        ({"at": "c", "op": "Relu"}, "no tensor and no node `c`"),
        ({"at": "a", "op": "Reluu"}, "no operator `Reluu`.*did you mean `Relu`"),
        ({"at": "a", "op": "Conv"}, "Conv needs `weight`"),
        ({"at": "a", "op": "Conv", "constants": {"weights": 1}}, "no constant `weights`.*mean `weight`"),
        ({"at": "a", "op": "Conv", "constants": {"weight": [[1], [1, 2]]}}, "not a number or an even list"),
        ({"at": "a", "op": "Conv", "constants": {"weight": [[[[1.0]]]]}}, "Conv `conv` is not valid"),
        ({"at": "a", "op": "Relu", "attributes": {"alpha": 1}}, "no attribute `alpha`"),
        ({"at": "a", "op": "Relu", "weights": "w.npz"}, "Relu takes no weights"),
        ({"at": "a", "op": "BatchNormalization", "constants": HALF_OF_FOUR}, "needs both"),
    ],
)
def test_what_cannot_be_inserted_is_told(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ModelbuildError) as caught:
        edits.apply(model(), [{"insert": settings}])
    assert re.search(words, " ".join(str(caught.value).split()))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no", b"\x93NUMPY\x01\x00\xff\xff"])
def test_files_that_are_no_arrays_are_told(tmp_path: Path, content: bytes) -> None:
    for name in ("w.npz", "w.npy"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ModelbuildError) as caught:
            edits.apply(model(), [{"insert": {"at": "a", "op": "Conv", "weights": str(tmp_path / name)}}])
        assert name in str(caught.value)


def test_a_header_that_claims_too_much_takes_no_memory(tmp_path: Path) -> None:
    np.save(tmp_path / "w.npy", np.zeros((1, 1), np.float32))
    data = (tmp_path / "w.npy").read_bytes()
    (tmp_path / "w.npy").write_bytes(data.replace(b"(1, 1), }          ", b"(99999999, 99999), }"[:19]))
    with pytest.raises(ModelbuildError):
        edits.apply(model(), [{"insert": {"at": "a", "op": "Conv", "weights": str(tmp_path / "w.npy")}}])


@pytest.mark.parametrize("name", ["x", "relu_0", "a"])
def test_a_name_that_is_taken_is_refused(name: str) -> None:
    before = graph([("Relu", "x", "a"), ("Neg", "a", "y")])
    with pytest.raises(ModelbuildError, match=f"there is a `{name}` already"):
        edits.apply(before, [{"insert": {"at": "a", "op": "Tanh", "name": name}}])
    found = edits.apply(before, [{"insert": {"at": "a", "op": "Relu"}}] * 2)
    assert len({node.name for node in found.nodes}) == 4  # names that nobody asked for are found


FLATTEN = ("Flatten", "x", "f")


@pytest.mark.parametrize(
    ("steps", "outputs", "node", "advice"),
    [  # what follows an input cannot be told to cut there
        (
            [FLATTEN, ("MatMul", "f w", "y")],
            ["y"],
            "flatten_0",
            "too, or begin it behind it: `cut: {inputs: [f]}`",
        ),
        (
            [("Relu", "x", "a"), ("Flatten", "a", "f"), ("MatMul", "f w", "y")],
            ["y"],
            "flatten_1",
            "too, or end the model before it: `cut: {outputs: [a]}`, or begin it behind it: "
            "`cut: {inputs: [f]}`",
        ),
        ([("Add", "x z", "y")], ["y"], "add_0", "keep it"),
        (
            [("Add", "x z", "a"), ("Relu", "a", "y")],
            ["y"],
            "add_0",
            "begin it behind it: `cut: {inputs: [a]}`",
        ),
        (
            [("Relu", "x", "a"), ("Relu", "z", "b"), ("Add", "a b", "y")],
            ["y"],
            "add_2",
            "end the model before it: `cut: {outputs: [a, b]}`",
        ),
        ([("Relu", "x", "y")], ["y"], "relu_0", "keep it"),
        (
            [("Relu", "x", "y"), ("Tanh", "x", "t")],
            ["y", "t"],
            "relu_0",
            "do without the output: `cut: {outputs: [t]}`",
        ),
        (
            [("Relu", "x", "y"), ("Tanh", "y", "t")],
            ["y", "t"],
            "tanh_1",
            "do without the output: `cut: {outputs: [y]}`",
        ),
    ],
)
def test_what_is_advised_instead_of_removing_can_be_done(
    steps: Any, outputs: list[str], node: str, advice: str
) -> None:
    shape = (1, 2, 4, 4)
    before = graph(steps, {"w": numbers(32, 3)}, x=shape, z=shape)
    before.outputs = outputs
    with pytest.raises(ModelbuildError) as caught:
        edits.apply(before, [{"remove": {"nodes": [node]}}])
    assert advice in caught.value.problems[0].advice
    for kind, names in re.findall(r"`cut: {(\w+): \[([^]]*)\]}`", caught.value.problems[0].advice):
        edits.apply(before, [{"cut": {kind: names.split(", ")}}])


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"op": "Clip", "constants": {"min": [0, 1], "max": 1}}, "`min` is one number"),
        ({"op": "Clip", "constants": {"min": 2, "max": 1}}, "`min` 2 is above its `max` 1"),
        ({"op": "LeakyRelu", "attributes": {"alpha": float("inf")}}, "a number that float32 can hold"),
        ({"op": "LeakyRelu", "attributes": {"alpha": 1e39}}, "a number that float32 can hold"),
    ],
)
def test_constants_and_attributes_that_no_runtime_takes(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ModelbuildError, match=words):
        edits.apply(graph([("Relu", "x", "y")]), [{"insert": {"at": "y", **settings}}])
