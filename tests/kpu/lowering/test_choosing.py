"""Places of the largest and least, and whole numbers made of them: in fixed models, both simulators, ONNX."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
import pytest

from modelbuild.chips.load import load_recipe
from modelbuild.graph.check import place
from modelbuild.graph.model import Node
from modelbuild.graph.session import FloatSession
from modelbuild.quantize import fixed_onnx
from tests.kpu.emitting import running
from tests.kpu.lowering.made import conv, lowered, network, weights
from tests.quantize.cases import F, graph_of, longs

MAP = (2, 3, 4, 5)
I32, I64 = 6, 7  # of a Cast


def _arg(op: str, out: str, **attributes: Any) -> Node:
    return Node(op, out, ["x"], [out], attributes)


def _top(name: str, count: str, *outputs: str, source: str = "x", **attributes: Any) -> Node:
    return Node("TopK", name, [source, count], list(outputs), attributes)


def _cast(source: str, out: str, to: int) -> Node:
    return Node("Cast", out, [source], [out], {"to": to})


NODES = [
    _arg("ArgMax", "largest", axis=1),
    _arg("ArgMin", "least", axis=-1, keepdims=0),
    Node("Reshape", "r", ["x", "all"], ["flat"]),
    Node("ArgMax", "v", ["flat"], ["of_vector"], {"axis": 0, "keepdims": 0}),
    _arg("ArgMax", "a", axis=2),
    _cast("a", "of_32_bits", I32),
    _arg("ArgMin", "both", axis=2),
    _cast("both", "both_32", I32),
    _cast("both", "as_floats", 1),
    _top("t", "three", "top", "places", axis=2),
    _top("u", "two", "low", "low_places", axis=1, largest=0),
    _top("w", "two", "values_alone", "_"),
    _top("z", "two", "__", "places_alone", axis=0),
    _cast("x", "cut", I64),
    _arg("ArgMax", "b", axis=3, keepdims=0),
    Node("Transpose", "tr", ["b"], ["c"], {"perm": [2, 0, 1]}),
    Node("Slice", "sl", ["c", "one", "three"], ["d"]),
    Node("Concat", "co", ["d", "c"], ["e"], {"axis": 0}),
    Node("Gather", "ga", ["e", "rows"], ["moved"], {"axis": 1}),
    Node("Greater", "gr", ["x", "zero"], ["above"]),
    _cast("above", "mask", I32),
]  # fmt: skip
OUTPUTS = [
    "largest", "least", "of_vector", "of_32_bits", "both", "both_32", "as_floats", "top", "places", "low",
    "low_places", "values_alone", "places_alone", "cut", "moved", "mask",
]  # fmt: skip
CONSTANTS = {
    "all": longs(120), "one": longs(1), "two": longs(2), "three": longs(3), "rows": longs(1, 0, 1),
    "zero": np.zeros(1, F),
}  # fmt: skip


def tied(shape: tuple[int, ...], seed: int) -> dict[str, Any]:
    """Few numbers, each of them often, on both sides of 0."""
    rng = np.random.default_rng(seed)
    return {"x": rng.integers(-3, 3, shape).astype(F) * F(0.75)}


def test_equal_everywhere() -> None:
    """In the float model, the fixed one, onnxruntime, and both simulators."""
    graph = graph_of(NODES, {"x": MAP}, OUTPUTS, CONSTANTS)
    sample = tied(MAP, 1)
    made = lowered(graph, "nncase-cpu", [sample])
    assert set(made.units.values()) == {"cpu"}
    assert made.count("convert") == 4  # one is made with 32 bits from the start
    expected, found = FloatSession(made.graph).run(sample), made.outputs(sample)
    compiled = running.compiled(made.fixed)
    running.check_simulated(made.fixed, sample, compiled)
    running.check_judged(made.fixed, sample, compiled)
    file = fixed_onnx.to_bytes(made.fixed)
    drawn = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    again = dict(zip(OUTPUTS, drawn.run(OUTPUTS, sample), strict=True))
    for name in OUTPUTS:
        assert found[name].dtype == again[name].dtype == made.graph.dtypes[name]
        np.testing.assert_array_equal(found[name], expected[name])
        np.testing.assert_array_equal(again[name], expected[name])
    read = fixed_onnx.from_bytes(file)
    assert (read.tensors, read.operators) == (made.fixed.tensors, made.fixed.operators)


def test_ties_of_quantized_scores() -> None:
    """A map of few codes, of which many are equal, and its class a cell; scores beside it."""
    nodes = [
        conv("x", "s", "w"),
        Node("ArgMax", "a", ["s"], ["y"], {"axis": 1}),
        _top("t", "k", "v", "i", source="s", axis=1),
        _cast("i", "j", 6),
    ]
    given = {**weights(w=(6, 3, 3, 3)), "k": longs(4)}
    graph = network(nodes, (1, 3, 16, 16), given, "s", "y", "v", "i", "j")
    sample = tied((1, 3, 16, 16), 2)
    made = lowered(graph, "k210", [sample])
    found = made.outputs(sample)
    assert made.count("kpu_conv") == 1
    scores = found["s"]
    assert (np.sort(scores, axis=1)[:, -1] == np.sort(scores, axis=1)[:, -2]).any()
    np.testing.assert_array_equal(found["y"], scores.argmax(axis=1, keepdims=True))
    np.testing.assert_array_equal(found["i"][:, :1], found["y"])
    np.testing.assert_array_equal(found["j"], found["i"])
    np.testing.assert_array_equal(found["v"], -np.sort(-scores, axis=1)[:, :4])
    compiled = running.compiled(made.fixed)
    running.check_simulated(made.fixed, sample, compiled)
    running.check_judged(made.fixed, sample, compiled)


@pytest.mark.parametrize(
    ("nodes", "why"),
    [
        ([_arg("ArgMax", "y", axis=1, select_last_index=1)], "the last of equal values is asked for"),
        (
            [_arg("ArgMax", "a", axis=1), Node("Add", "n", ["a", "one"], ["y"])],
            "`a` was made of whole numbers",
        ),
        ([_top("n", "two", "v", "i"), Node("Relu", "r", ["v"], ["y"])], "`v` was made of whole numbers"),
        ([_cast("x", "y", 2)], "it makes uint8 of float32"),
    ],
)
def test_what_is_refused_says_why(nodes: list[Node], why: str) -> None:
    graph = graph_of(nodes, {"x": MAP}, ["y"], {key: CONSTANTS[key] for key in ("one", "two")})
    findings = place(graph, load_recipe("k210")).findings
    assert [finding.code for finding in findings if finding.severity == "error"] == ["MB105"]
    assert any(why in finding.message for finding in findings)
