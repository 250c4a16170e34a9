"""Topological order and names."""

from __future__ import annotations

import pytest

from modelbuild.errors import ModelbuildError
from modelbuild.graph.model import Graph, Node
from modelbuild.graph.order import in_order, unique_names


def nodes(*edges: tuple[str, str]) -> tuple[list[Node], Graph]:
    found = [Node("Relu", f"n{i}", [a], [b]) for i, (a, b) in enumerate(edges)]
    return found, Graph("g", found, ["x"], [edges[-1][1]], {})


def test_names_are_numbered_only_where_taken() -> None:
    assert unique_names(["a", "b", "a", "a_1", "a"]) == ["a", "b", "a_2", "a_1", "a_3"]


def test_order_stays_near_the_given_one() -> None:
    found, graph = nodes(("b", "c"), ("x", "d"), ("a", "b"), ("x", "a"))
    assert [node.name for node in in_order(found, graph)] == ["n1", "n3", "n2", "n0"]


@pytest.mark.parametrize(
    ("edges", "words"),
    [
        ([("a", "b"), ("b", "a")], "depends on its own output"),
        ([("x", "a"), ("x", "a")], "`a` is made twice"),
        ([("q", "a")], "reads the tensor `q`, which nothing makes"),
    ],
)
def test_graphs_without_an_order(edges: list[tuple[str, str]], words: str) -> None:
    with pytest.raises(ModelbuildError, match=words):
        in_order(*nodes(*edges))


def test_an_output_that_nothing_makes() -> None:
    found, graph = nodes(("x", "a"))
    graph.outputs = ["lost"]
    with pytest.raises(ModelbuildError, match="output `lost`"):
        in_order(found, graph)
