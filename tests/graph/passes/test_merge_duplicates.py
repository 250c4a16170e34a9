"""Equal work is done once."""

from __future__ import annotations

from tests.graph.small import after, graph, ops, untouched


def test_equal_chains_are_one() -> None:
    steps = [
        ("Relu", "x", "a"),
        ("Relu", "x", "b"),
        ("Neg", "a", "c"),
        ("Neg", "b", "d"),
        ("Add", "c d", "y"),
    ]
    result = after("merge_duplicates", graph(steps))
    assert ops(result) == ["Relu", "Neg", "Add"]
    assert result.nodes[2].inputs == ["c", "c"]


def test_other_attributes_and_outputs_of_the_model_stay() -> None:
    untouched(
        "merge_duplicates", graph([("Elu", "x", "a", {"alpha": 2.0}), ("Elu", "x", "b"), ("Add", "a b", "y")])
    )
    before = graph([("Relu", "x", "a"), ("Relu", "x", "y")])
    before.outputs = ["a", "y"]
    untouched("merge_duplicates", before)
