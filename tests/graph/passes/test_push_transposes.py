"""Transposes move through operators, cancel, and leave the graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelbuild.graph import guard, kept_quantization
from modelbuild.graph.kept_quantization import Kept
from modelbuild.graph.model import Graph
from modelbuild.graph.normalise import normalise
from modelbuild.graph.passes import PASSES
from modelbuild.graph.rewrite import copied
from tests.graph.small import Step, after, graph, numbers, only, ops, untouched
from tests.hypotheses import examples

TO_LAST, TO_FIRST = {"perm": [0, 2, 3, 1]}, {"perm": [0, 3, 1, 2]}


def channels_last(
    steps: Sequence[Step], constants: Mapping[str, Any] | None = None, shape: Sequence[int] = (1, 2, 4, 6)
) -> Graph:
    """`steps` from the tensor a to the tensor b, in NHWC, between convolutions in NCHW."""
    window = {"w1": numbers(4, shape[1], 1, 1, seed=8), **(constants or {})}
    return graph(
        [("Conv", "x w1", "c"), ("Transpose", "c", "a", TO_LAST), *steps, ("Transpose", "b", "d", TO_FIRST),
         ("Conv", "d w2", "y")],
        {"w2": numbers(3, _channels(steps, window), 1, 1, seed=9), **window},
        x=shape,
    )  # fmt: skip


def _channels(steps: Sequence[Step], constants: Mapping[str, Any]) -> int:
    open_graph = graph(
        [("Conv", "x w1", "c"), ("Transpose", "c", "a", TO_LAST), *steps], constants, x=(1, 2, 4, 6)
    )
    return open_graph.shapes["b"][3]


def test_one_of_two_equal_transposes_makes_an_output() -> None:
    """The model's output keeps its name, and who reads the other finds what it read."""
    steps: list[Step] = [
        ("Relu", "x", "t"),
        ("Transpose", "t", "out", TO_LAST),
        ("Transpose", "t", "u", TO_LAST),
        ("Sigmoid", "u", "y"),
    ]
    before = graph(steps)
    before.outputs = ["out", "y"]
    result = copied(before)
    PASSES["push_transposes"].run(result)
    guard.check(before, result)
    assert result.outputs == ["out", "y"]


THROUGH: list[tuple[str, list[Step], dict[str, Any]]] = [
    ("Relu", [("Relu", "a", "b")], {}),
    ("Clip", [("Clip", "a low high", "b")], {"low": 0.0, "high": 6.0}),
    ("PRelu", [("PRelu", "a slope", "b")], {"slope": numbers(1, 1, 4)}),
    ("Add of a constant", [("Add", "k a", "b")], {"k": numbers(4)}),
    ("Mul of a row", [("Mul", "a k", "b")], {"k": numbers(4, 6, 1)}),
    ("residual", [("Relu", "a", "r"), ("Add", "a r", "b")], {}),
    ("SiLU", [("Sigmoid", "a", "s"), ("Mul", "a s", "b")], {}),
    ("Concat", [("Relu", "a", "r"), ("Concat", "a r", "b", {"axis": 3})], {}),
    ("Split", [("Split", "a n", ["p", "q"], {"axis": 3}), ("Add", "p q", "b")], {"n": [2, 2]}),
    ("Slice", [("Slice", "a s e ax st", "b")], {"s": [1, 0], "e": [4, 5], "ax": [1, 2], "st": [2, 1]}),
    ("Pad", [("Pad", "a p", "b")], {"p": [0, 1, 2, 0, 0, 0, 1, 1]}),
    ("Softmax", [("Softmax", "a", "b", {"axis": 3})], {}),
    ("ReduceMean", [("ReduceMean", "a", "b", {"axes": [1, 2], "keepdims": 1})], {}),
    ("ReduceSum", [("ReduceSum", "a ax", "b", {"keepdims": 1})], {"ax": [2, 3]}),
    ("Resize", [("Resize", "a _ s", "b", {"mode": "linear"})], {"s": [1.0, 2.0, 2.0, 1.0]}),
    ("Resize to sizes", [("Resize", "a _ _ s", "b")], {"s": [1, 8, 3, 4]}),
    ("Tile", [("Tile", "a n", "b")], {"n": [1, 2, 1, 3]}),
    ("Where", [("Greater", "a z", "g"), ("Where", "g a z", "b")], {"z": 0.0}),
    ("squeeze and excite",
     [("ReduceMean", "a", "m", {"axes": [1, 2], "keepdims": 1}), ("Transpose", "m", "t", TO_FIRST),
      ("Conv", "t v", "e"), ("Transpose", "e", "l", TO_LAST), ("Sigmoid", "l", "s"), ("Mul", "a s", "b")],
     {"v": numbers(4, 4, 1, 1)}),
]  # fmt: skip


@pytest.mark.parametrize(("steps", "constants"), [case[1:] for case in THROUGH], ids=[c[0] for c in THROUGH])
def test_no_transpose_is_left_between_spatial_operators(steps: list[Step], constants: dict[str, Any]) -> None:
    result = after("push_transposes", channels_last(steps, constants))
    assert "Transpose" not in ops(result)


def network() -> Graph:
    """A channels-last CNN as an importer writes it: Transposes around every spatial operator."""
    steps: list[Step] = []

    def spatial(op: str, names: str, made: str, attributes: dict[str, Any] | None = None) -> None:
        source, *rest = names.split()
        steps.append(("Transpose", source, f"{made}_in", TO_FIRST))
        steps.append((op, " ".join([f"{made}_in", *rest]), f"{made}_out", attributes or {}))
        steps.append(("Transpose", f"{made}_out", made, TO_LAST))

    window = {"pads": [1] * 4, "kernel_shape": [3, 3]}
    steps.append(("Transpose", "x", "nhwc", TO_LAST))
    spatial("Conv", "nhwc w1", "a", window)
    steps += [("Add", "a bias", "ab"), ("Clip", "ab low high", "ac")]
    steps.append(("Pad", "ac pads", "ap"))
    spatial("Conv", "ap w2", "b", {"kernel_shape": [3, 3], "strides": [2, 2], "group": 4})
    steps.append(("Relu", "b", "br"))
    spatial("MaxPool", "br", "m", {"kernel_shape": [3, 3], "strides": [1, 1], "pads": [1] * 4})
    steps += [("Add", "br m", "s"), ("Resize", "s _ scales", "u", {"mode": "nearest"})]
    steps += [("Concat", "u ac", "cat", {"axis": 3})]
    spatial("Conv", "cat w3", "head", {"kernel_shape": [1, 1]})
    steps += [("ReduceMean", "head", "mean", {"axes": [1, 2], "keepdims": 1}), ("Mul", "head mean", "gated")]
    steps += [("Reshape", "gated flat", "f"), ("Gemm", "f w4", "logits", {"transB": 1})]
    steps += [("Transpose", "gated", "map", TO_FIRST), ("Softmax", "logits", "y")]
    constants = {
        "w1": numbers(4, 3, 3, 3), "bias": numbers(4), "low": 0.0, "high": 6.0,
        "pads": [0, 0, 0, 0, 0, 1, 1, 0],
        "w2": numbers(4, 1, 3, 3), "scales": [1.0, 2.0, 2.0, 1.0], "w3": numbers(5, 8, 1, 1),
        "flat": [1, 5 * 64], "w4": numbers(3, 5 * 64),
    }  # fmt: skip
    made = graph(steps, constants, x=(1, 3, 8, 8))
    made.outputs = ["y", "map"]
    return made


def test_a_channels_last_network_has_none_inside() -> None:
    before = network()
    result, _ = normalise(before)
    assert "Transpose" not in ops(result)
    assert result.outputs == ["y", "map"] and result.inputs == ["x"]
    guard.check(before, result)
    again, rows = normalise(result)
    assert not any(row.changes for row in rows) and ops(again) == ops(result)


def test_the_transpose_moves_behind_what_melts_into_the_layer_before() -> None:
    before = graph(
        [("Conv", "x w", "c"), ("Transpose", "c", "t", TO_LAST), ("Relu", "t", "y")],
        {"w": numbers(4, 2, 1, 1)},
    )
    assert ops(after("push_transposes", before)) == ["Conv", "Relu", "Transpose"]


def test_the_transpose_moves_where_less_is_moved() -> None:
    before = graph([("Transpose", "x", "t", TO_LAST), ("ReduceMax", "t", "y", {"axes": [1], "keepdims": 1})])
    result = after("push_transposes", before)
    assert ops(result) == ["ReduceMax", "Transpose"] and result.shapes[result.nodes[1].inputs[0]] == (
        1,
        2,
        1,
        4,
    )


@pytest.mark.parametrize(
    "before",
    [
        graph([("Transpose", "x", "t", TO_LAST), ("Pad", "t p", "y")], {"p": [0, 1, 1, 0, 0, 1, 1, 0]}),
        graph([("Transpose", "x", "t", TO_LAST), ("Add", "t z", "y")], x=(1, 2, 4, 5), z=(1, 4, 5, 2)),
        graph([("Transpose", "x", "t", {"perm": [0, 2, 1, 3]}), ("Reshape", "t s", "y")], {"s": [1, 2, 16]}),
        graph([("Transpose", "x", "t", TO_LAST), ("Split", "t", ["y", "z"], {"axis": 3})]),
        graph([("Transpose", "x", "t", TO_LAST), ("Relu", "t", "r"), ("Concat", "t r", "y", {"axis": 0})]),
    ],
)  # fmt: skip
def test_never_more_work(before: Graph) -> None:
    result = copied(before)
    PASSES["push_transposes"].run(result)
    assert _moved(result) <= _moved(before)
    assert ops(result).count("Transpose") <= ops(before).count("Transpose")
    guard.check(before, result)


def _moved(found: Graph) -> int:
    """How many numbers Transposes move."""
    return sum(int(np.prod(found.shapes[n.inputs[0]])) for n in found.nodes if n.op == "Transpose")


def test_one_operand_of_another_order_does_not_spoil_the_rest() -> None:
    # z comes as NHWC: of three ways to arrange this, one Transpose of z is the cheapest.
    steps: list[Step] = [
        ("Conv", "x w", "c"), ("Transpose", "c", "a", TO_LAST), ("Relu", "a", "b"), ("Add", "b z", "d"),
        ("Sigmoid", "d", "e"), ("Transpose", "e", "f", TO_FIRST), ("Conv", "f v", "y"),
    ]  # fmt: skip
    constants = {"w": numbers(3, 2, 1, 1), "v": numbers(2, 3, 1, 1)}
    result = after("push_transposes", graph(steps, constants, x=(1, 2, 4, 4), z=(1, 4, 4, 3)))
    assert only(result, "Transpose").inputs == ["z"]


def test_the_weights_of_a_gemm_take_the_move_in() -> None:
    steps: list[Step] = [
        ("Conv", "x w", "c"), ("Transpose", "c", "t", TO_LAST), ("Relu", "t", "r"), ("Reshape", "r s", "f"),
        ("Gemm", "f v", "y", {"transB": 1}),
    ]  # fmt: skip
    constants = {"w": numbers(3, 2, 1, 1), "s": [2, 48], "v": numbers(5, 48)}
    result = after("push_transposes", graph(steps, constants, x=(2, 2, 4, 4)))
    assert ops(result) == ["Conv", "Relu", "Reshape", "Gemm"]


def test_a_flattened_tensor_that_is_read_twice_keeps_its_order() -> None:
    steps: list[Step] = [
        ("Transpose", "x", "t", TO_LAST), ("Reshape", "t s", "f"), ("Gemm", "f v", "g", {"transB": 1}),
        ("Relu", "f", "r"), ("Concat", "g r", "y", {"axis": 1}),
    ]  # fmt: skip
    untouched("push_transposes", graph(steps, {"s": [1, 32], "v": numbers(5, 32)}, x=(1, 2, 4, 4)))


def test_outputs_of_the_model_keep_their_order_and_name() -> None:
    steps: list[Step] = [
        ("Transpose", "x", "t", TO_LAST), ("Relu", "t", "r"), ("Transpose", "r", "b", TO_FIRST),
        ("Abs", "b", "y"),
    ]  # fmt: skip
    before = graph(steps, x=(1, 2, 3, 4))
    before.outputs = ["y", "r"]
    result = after("push_transposes", before)
    assert ops(result).count("Transpose") == 1 and result.outputs == ["y", "r"]
    assert result.shapes["r"] == (1, 3, 4, 2)


def test_a_model_whose_output_was_the_second_transpose() -> None:
    steps: list[Step] = [
        ("Transpose", "x", "t", TO_LAST), ("Relu", "t", "r"), ("Transpose", "r", "y", TO_FIRST)
    ]  # fmt: skip
    result = after("push_transposes", graph(steps))
    assert ops(result) == ["Relu"] and result.nodes[0].outputs == ["y"]


def test_the_source_s_quantization_stays_with_the_values() -> None:
    before = channels_last([("Relu", "a", "b")])
    entry = Kept("int8", (0.5,), (3,))
    kept_quantization.keep(before, {"a": entry, "b": entry})
    result = after("push_transposes", before)
    relu = only(result, "Relu")
    assert kept_quantization.kept(result) == {relu.inputs[0]: entry, relu.outputs[0]: entry}


def test_a_long_chain_takes_a_step_a_node() -> None:
    """Transposes that go one way join as they meet, before they pass the operators behind."""
    steps: list[Step] = []
    for index in range(60):
        source = f"r{index - 1}" if index else "x"
        steps += [("Transpose", source, f"t{index}", TO_LAST), ("Relu", f"t{index}", f"r{index}")]
    result = graph(steps, x=(1, 3, 5, 7))
    assert PASSES["push_transposes"].run(result) <= 2 * 60
    assert ops(result).count("Transpose") <= 1
    guard.check(graph(steps, x=(1, 3, 5, 7)), result)


@examples(80)
@given(st.data())
def test_random_graphs_of_transposes(data: st.DataObject) -> None:
    shapes: dict[str, tuple[int, ...]] = {"x": (1, 2, 3, 4)}
    steps: list[Step] = []
    for index in range(data.draw(st.integers(2, 9))):
        source = data.draw(st.sampled_from(sorted(shapes)))
        name, shape = f"t{index}", shapes[source]
        kind = data.draw(
            st.sampled_from(["Transpose", "Transpose", "Relu", "Add", "Concat", "Reduce", "Softmax"])
        )
        axis = data.draw(st.integers(0, 3))
        if kind == "Transpose":
            perm = data.draw(st.permutations(range(4)))
            steps.append(("Transpose", source, name, {"perm": list(perm)}))
            shape = tuple(shape[a] for a in perm)
        elif kind in ("Add", "Concat"):
            other = data.draw(st.sampled_from(sorted(k for k, s in shapes.items() if s == shape)))
            more = {"axis": axis} if kind == "Concat" else {}
            steps.append((kind, f"{source} {other}", name, more))
            shape = tuple(n * (1 + (kind == "Concat" and i == axis)) for i, n in enumerate(shape))
        elif kind == "Reduce":
            steps.append(("ReduceMax", source, name, {"axes": [axis], "keepdims": 1}))
            shape = tuple(1 if i == axis else n for i, n in enumerate(shape))
        else:
            steps.append((kind, source, name, {"axis": axis} if kind == "Softmax" else {}))
        shapes[name] = shape
    before = graph(steps, x=shapes["x"])
    read = {name for step in steps for name in step[1].split()}
    before.outputs = [step[2] for step in steps if step[2] not in read]
    result = copied(before)
    PASSES["push_transposes"].run(result)
    assert PASSES["push_transposes"].run(copied(result)) == 0
    assert _moved(result) <= _moved(before)
    guard.check(before, result)
