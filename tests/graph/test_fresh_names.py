"""Free names: numbered from 1, taken once given, and of a whole graph's tensors and nodes."""

from __future__ import annotations

from modelbuild.graph.fresh_names import fresh, fresh_in, tensors
from modelbuild.graph.model import Graph, Node


def test_a_name_is_itself_until_it_is_taken_and_numbered_then() -> None:
    taken = {"a", "a_2"}
    assert [fresh(base, taken) for base in ("b", "a", "a", "b", "a_1")] == ["b", "a_1", "a_3", "b_1", "a_1_1"]
    assert taken == {"a", "a_1", "a_2", "a_3", "b", "b_1", "a_1_1"}


def test_a_graph_s_tensors_and_nodes_are_taken() -> None:
    graph = Graph("g", [Node("Split", "cut", ["x"], ["", "y"])], ["x"], ["y"], {})
    assert tensors(graph) == {"x", "y"}
    assert [fresh_in(graph, base) for base in ("x", "y", "cut", "z")] == ["x_1", "y_1", "cut_1", "z"]
