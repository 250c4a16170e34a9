"""Names under `quantize:` that the lowered model does not have: all at once, before anything is observed."""

from __future__ import annotations

import pytest

from modelbuild.errors import ModelbuildError
from modelbuild.graph.model import Graph, Node
from modelbuild.quantize.mixed_settings import named_in
from modelbuild.quantize.named import check_named
from tests.quantize.cases import graph_of, normal


def chain() -> Graph:
    nodes = [
        Node("Conv", "conv", ["x", "w"], ["a"], origin=("source_conv",)),
        Node("Relu", "relu", ["a"], ["y"]),
    ]
    return graph_of(nodes, {"x": (1, 3, 8, 8)}, ["y"], {"w": normal(4, 3, 1, 1)})


def test_what_settings_name() -> None:
    given = {"nodes": {"b": {}, "a": {}}, "inputs": {"*": "int16"}, "ranges": {"r": [0, 1]}, "mode": "auto"}
    assert named_in(given) == {"nodes": ["a", "b"], "ranges": ["r"]}


def test_names_that_are_there() -> None:
    nodes = ["conv", "relu", "a", "y", "source_conv"]
    check_named(chain(), {"nodes": nodes, "inputs": ["x"], "outputs": ["y"], "ranges": ["x", "a", "y"]})


def test_all_that_are_not_are_told_with_their_keys() -> None:
    with pytest.raises(ModelbuildError) as caught:
        check_named(chain(), {"nodes": ["cnv", "zzz"], "inputs": ["qqq"], "ranges": ["w"]})
    assert caught.value.exit_code == 2
    found = {problem.where: problem.advice for problem in caught.value.problems}
    assert list(found) == [
        "quantize.inputs.qqq",
        "quantize.nodes.cnv",
        "quantize.nodes.zzz",
        "quantize.ranges.w",
    ]
    assert found["quantize.inputs.qqq"] == "the lowered model has x"
    assert found["quantize.nodes.cnv"] == "did you mean `conv`?"
    assert "`modelbuild check -v` lists" in found["quantize.nodes.zzz"]
