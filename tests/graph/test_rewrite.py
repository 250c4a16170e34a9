"""The editor keeps its maps right."""

from __future__ import annotations

from modelbuild.graph.kept_quantization import Kept, keep, kept, replace
from modelbuild.graph.rewrite import Editor, copied, merged
from tests.graph.small import graph, ops


def test_nodes_go_in_front_of_their_anchor_with_fresh_names() -> None:
    found = graph([("Relu", "x", "a"), ("Neg", "a", "y")])
    editor = Editor(found)
    neg = found.nodes[1]
    middle = editor.tensor("a", (1, 2, 4, 4))
    editor.insert(neg, "Abs", ["a"], [middle])
    editor.set_inputs(neg, [middle])
    assert middle == "a_1"
    assert [node.op for node in editor.consumers("a")] == ["Abs"]
    editor.close()
    assert ops(found) == ["Relu", "Abs", "Neg"]
    assert found.nodes[1].name == "neg_1_abs" and found.nodes[1].origin == ("neg_1",)


def test_bypass_keeps_the_name_of_an_output_or_refuses() -> None:
    found = graph([("Relu", "x", "a"), ("Identity", "a", "y")])
    editor = Editor(found)
    assert editor.bypass(found.nodes[1], "a")
    editor.close()
    assert found.nodes[0].outputs == ["y"] and found.shapes["y"] == (1, 2, 4, 4)
    border = graph([("Identity", "x", "y")])
    assert not Editor(border).bypass(border.nodes[0], "x")


def test_private_counts_readers_and_outputs() -> None:
    found = graph([("Relu", "x", "a"), ("Add", "a a", "b"), ("Neg", "a", "y")])
    editor = Editor(found)
    assert not editor.private("a") and not editor.private("y") and not editor.private("b")


def test_copies_share_nothing_that_changes() -> None:
    found = graph([("Relu", "x", "y")])
    other = copied(found)
    other.nodes[0].outputs[0] = "z"
    other.shapes.clear()
    assert found.nodes[0].outputs == ["y"] and found.shapes


def test_origins_are_merged_in_order() -> None:
    assert merged(("b", "a"), ("a", "c")) == ("b", "a", "c")


def test_both_sides_of_a_reshape_have_one_quantization() -> None:
    steps = [
        ("Reshape", "x s", "a"),
        ("Relu", "a", "b"),
        ("Transpose", "b", "c", {"perm": [1, 0]}),
        ("Abs", "c", "y"),
    ]
    given = graph(steps, {"s": [4, 8]})
    one, two = Kept("int8", (0.5,), (1,)), Kept("int8", (0.25,), (0,))
    keep(given, {"x": one, "c": two})
    Editor(given).close()
    assert kept(given) == {"x": one, "a": one, "b": two, "c": two}
    given.outputs.append("b")
    replace(given, {})
    keep(given, {"c": two})
    Editor(given).close()
    assert kept(given) == {"c": two}  # b is read elsewhere, where it may be float
