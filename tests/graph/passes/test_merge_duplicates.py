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


def test_constants_are_equal_where_their_bits_are() -> None:
    steps = [("Add", "x c", "a"), ("Add", "x d", "b"), ("Mul", "a b", "y")]
    result = after("merge_duplicates", graph(steps, {"c": [1.0, 2.0, 3.0, 4.0], "d": [1.0, 2.0, 3.0, 4.0]}))
    assert ops(result) == ["Add", "Mul"] and result.nodes[0].origin == ("add_0", "add_1")
    for other in ([1.0, 2.0, 3.0, 5.0], [[1.0, 2.0, 3.0, 4.0]]):
        untouched("merge_duplicates", graph(steps, {"c": [1.0, 2.0, 3.0, 4.0], "d": other}))
    untouched("merge_duplicates", graph(steps, {"c": 0.0, "d": -0.0}))
