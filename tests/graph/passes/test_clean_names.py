"""Names that every tool takes."""

from __future__ import annotations

import re

from modelbuild.graph import kept_quantization
from modelbuild.graph.kept_quantization import Kept
from tests.graph.small import after, graph


def test_names_become_short_and_plain() -> None:
    before = graph([("Relu", "x", "a:0"), ("Abs", "a:0", "a_0"), ("Mul", "a_0 k;w:0", "y:0")], {"k;w:0": 2.0})
    before.nodes[0].name, before.nodes[1].name = "one;two/three:x", "l" * 300
    entries = {"a:0": Kept("int8", (0.5,), (1,)), "a_0": Kept("int8", (0.25,), (2,))}
    kept_quantization.keep(before, entries)
    result = after("clean_names", before)
    assert result.outputs == ["y:0"] and result.inputs == ["x"]
    inner = [node.inputs[0] for node in result.nodes[1:]]
    assert inner == ["a_0_1", "a_0"] and list(result.constants) == ["w_0"]
    assert [node.name for node in result.nodes] == ["two/three_x", "l" * 64, "mul_2"]
    assert all(re.fullmatch(r"[\w./-]{1,64}", name) for name in inner)
    assert kept_quantization.kept(result) == dict(zip(inner, entries.values(), strict=True))
    assert [node.origin for node in result.nodes] == [("relu_0",), ("abs_1",), ("mul_2",)]


def test_what_is_left_of_odd_names_is_a_name() -> None:
    """An empty name would be an absent input; numbers count among the 64 letters."""
    odd, long = ["a;b;", ";;", "é;", "_" * 70, "unnamed"], [f"{'n' * 70}{mark}" for mark in ":;?"]
    names = [*odd, *long]
    steps = [("Relu", source, made) for source, made in zip(["x", *names], [*names, "y"], strict=True)]
    before = graph(steps)
    for node, name in zip(before.nodes, [*names, "last"], strict=True):
        node.name = name
    result = after("clean_names", before)
    made = [node.outputs[0] for node in result.nodes[:-1]]
    assert made[:5] == ["b", "unnamed_1", "_", "unnamed_2", "unnamed"]
    assert [node.name for node in result.nodes] == [*made, "last"]
    assert len(set(made)) == len(made) and all(re.fullmatch(r"[\w./-]{1,64}", name) for name in made)
    assert made[5:] == ["n" * 63 + "_", "n" * 64, "n" * 61 + "__1"]
