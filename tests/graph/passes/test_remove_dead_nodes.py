"""What reaches no output goes."""

from __future__ import annotations

from tests.graph.small import after, graph, numbers, ops, untouched


def test_dead_branches_constants_and_masks() -> None:
    steps = [
        ("Add", "x c", "dead"),
        ("Relu", "dead", "deader"),
        ("MaxPool", "x", ["m", "indices"], {"kernel_shape": [2, 2]}),
        ("Neg", "m", "y"),
    ]
    result = after("remove_dead_nodes", graph(steps, {"c": numbers(4), "unused": numbers(2)}))
    assert ops(result) == ["MaxPool", "Neg"]
    assert result.nodes[0].outputs == ["m"]
    assert result.constants == {}
    assert set(result.shapes) == {"x", "m", "y"}


def test_a_split_keeps_outputs_that_nobody_reads() -> None:
    untouched("remove_dead_nodes", graph([("Split", "x", ["a", "b"], {"axis": 1}), ("Neg", "a", "y")]))
