"""`tail: auto`: the part on the chip and the part after it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelbuild import importers
from modelbuild.chips.load import load_recipe
from modelbuild.errors import ModelbuildError
from modelbuild.graph import guard
from modelbuild.graph.after_chip import AfterChip
from modelbuild.graph.check import place
from modelbuild.graph.edits.tail import Split, split
from modelbuild.graph.model import Graph
from modelbuild.graph.normalise import normalise
from modelbuild.graph.passes import run_passes
from modelbuild.graph.session import FloatSession
from tests.graph.small import graph, numbers, ops

KL720, KL520 = load_recipe("kl720"), load_recipe("kl520")
SHAPE = np.array([1, -1, 4], np.int64)


def weights(*shape: int) -> Any:
    return numbers(*shape)


def detector() -> Graph:
    """A stem, a head that is a source output itself, and a head with a tail."""
    steps = [
        ("Conv", "x w", "a"),
        ("Relu", "a", "b"),
        ("Conv", "b u", "scores"),
        ("Conv", "b v", "c"),
        ("Transpose", "c", "d", {"perm": [0, 2, 3, 1]}),
        ("Softmax", "d", "e", {"axis": -1}),
        ("Relu", "e", "boxes"),
    ]
    found = graph(
        steps, {"w": weights(4, 3, 1, 1), "u": weights(2, 4, 1, 1), "v": weights(4, 4, 1, 1)}, x=(1, 3, 4, 4)
    )
    found.outputs = ["boxes", "scores"]
    return found


def together(parts: Split, x: dict[str, Any]) -> dict[str, Any]:
    chip = FloatSession(parts.chip)
    return AfterChip(parts.post).run(chip.run({name: x[name] for name in chip.inputs}), x)


def test_everything_behind_the_first_cpu_node_is_the_tail() -> None:
    parts = split(detector(), KL720)
    assert [node.name for node in parts.removed] == ["transpose_4", "softmax_5", "relu_6"]
    assert (ops(parts.post), parts.post.inputs, parts.post.outputs) == (
        ["Transpose", "Softmax", "Relu"],
        ["c"],
        ["boxes"],
    )
    assert (parts.chip.outputs, parts.outputs) == (["scores", "c"], ("boxes", "scores"))
    assert set(place(parts.chip, KL720).units.values()) <= {"npu", "fused"}


def test_the_two_parts_give_what_the_whole_gives_in_its_order() -> None:
    x = {"x": numbers(1, 3, 4, 4)}
    found, expected = together(split(detector(), KL720), x), FloatSession(detector()).run(x)
    assert list(found) == ["boxes", "scores"]
    assert all(np.array_equal(found[name], expected[name]) for name in expected)


def test_reasons_are_told_of_the_nodes_that_are_at_fault_only() -> None:
    parts = split(detector(), KL720)
    assert [node.name for node in parts.causes] == ["transpose_4", "softmax_5"]
    assert "permutation [0, 2, 3, 1]" in parts.causes[0].reason
    finding = parts.finding("kl720")
    assert finding is not None
    assert (finding.code, finding.severity, finding.node) == ("MB111", "note", "transpose_4")
    assert "3 nodes run after the chip" in finding.message


def test_a_chip_that_runs_everything_leaves_no_tail() -> None:
    whole = graph([("Conv", "x w", "y")], {"w": weights(4, 3, 1, 1)}, x=(1, 3, 4, 4))
    parts = split(whole, KL720)
    assert (parts.removed, parts.post.nodes, parts.chip.outputs) == ((), [], ["y"])
    assert parts.finding("kl720") is None
    x = {"x": numbers(1, 3, 4, 4)}
    assert np.array_equal(together(parts, x)["y"], FloatSession(whole).run(x)["y"])


def test_a_tail_that_reads_an_input_of_the_model_has_it_as_input() -> None:
    steps = [("Conv", "x w", "a"), ("Softmax", "z", "s", {"axis": 1}), ("Mul", "a s", "y")]
    whole = graph(steps, {"w": weights(3, 3, 1, 1)}, x=(1, 3, 4, 4), z=(1, 3, 4, 4))
    parts = split(whole, KL720)
    assert (parts.chip.inputs, parts.chip.outputs, parts.post.inputs) == (["x"], ["a"], ["a", "z"])
    assert list(AfterChip(parts.post).further_inputs(["x", "a"])) == ["z"]
    assert AfterChip(parts.post).with_inputs(parts.chip).inputs == ["x", "z"]
    x = {"x": numbers(1, 3, 4, 4), "z": numbers(1, 3, 4, 4, seed=2)}
    assert np.array_equal(together(parts, x)["y"], FloatSession(whole).run(x)["y"])


def test_a_cpu_node_that_stands_early_is_a_warning() -> None:
    steps = [
        ("Conv", "x w", "a"),
        ("Softmax", "a", "b", {"axis": 1}),
        ("Conv", "b v", "c"),
        ("Conv", "c v", "y"),
    ]
    found = split(graph(steps, {"w": weights(4, 3, 1, 1), "v": weights(4, 4, 1, 1)}, x=(1, 3, 4, 4)), KL720)
    finding = found.finding("kl720")
    assert found.is_early and finding is not None
    assert finding.severity == "warning"
    assert "2 of 3 nodes that compute" in finding.message
    assert "softmax_1" in finding.advice


def test_nothing_left_for_the_npu_is_an_error_that_names_the_node() -> None:
    whole = graph(
        [("Softmax", "x", "a", {"axis": 1}), ("Conv", "a w", "y")], {"w": weights(4, 3, 1, 1)}, x=(1, 3, 4, 4)
    )
    with pytest.raises(ModelbuildError) as caught:
        split(whole, KL520)
    assert "leaves the NPU of kl520 nothing to run: Softmax `softmax_0`" in str(caught.value)
    assert "the NPU has no Softmax" in str(caught.value)
    assert caught.value.exit_code == 2


REAL = [
    (name, chip)
    for name in ("ultraface_rfb_320", "yolox_nano", "nanodet_m_416")
    for chip in ("kl520", "kl720")
]


@pytest.mark.parametrize(("name", "chip"), REAL)
def test_real_detectors_are_reproduced_by_their_two_parts(shared_data: Path, name: str, chip: str) -> None:
    """The source file, run by onnxruntime, against the NPU's part and the part after it."""
    source, recipe = shared_data / f"models/onnx/{name}.onnx", load_recipe(chip)
    lowered, _ = run_passes(normalise(importers.load(source))[0], recipe.passes)
    parts = split(lowered, recipe)
    assert set(place(parts.chip, recipe).units.values()) <= {"npu", "fused"}
    assert any(node.op == "Conv" for node in parts.chip.nodes)
    whole = FloatSession(source)
    x = guard.random_inputs(lowered, 0)[0]
    expected = whole.run({name: x[name] for name in whole.inputs})
    found = together(parts, x)
    assert list(found) == list(whole.outputs)
    for output, value in expected.items():
        assert np.abs(found[output] - value).max() <= 1e-4 * np.ptp(value)


def test_an_input_that_is_an_output_and_that_the_tail_reads() -> None:
    whole = graph([("Relu", "x", "a"), ("Softmax", "x", "y", {"axis": 1})], x=(1, 3, 4, 4))
    whole.outputs = ["a", "y", "x"]
    parts, x = split(whole, KL720), {"x": numbers(1, 3, 4, 4)}
    assert parts.post.inputs == ["x"]
    found, expected = together(parts, x), FloatSession(whole).run(x)
    assert list(found) == ["a", "y", "x"]
    assert all(np.array_equal(found[name], expected[name]) for name in expected)
