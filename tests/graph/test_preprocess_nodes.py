"""What is said of nodes that preprocessing in the model has inserted."""

from __future__ import annotations

from modelbuild.graph import in_model
from modelbuild.graph.edits.tail import Removed, Split
from modelbuild.graph.preprocess_nodes import mend
from modelbuild.samples.preprocess import from_settings
from tests.graph.small import graph


def test_a_layout_is_mended_in_the_manifest() -> None:
    made = graph([("Relu", "x", "y")], x=(1, 3, 4, 4))
    raw = from_settings({"in_model": True, "input_layout": "NHWC", "mean": 5})
    inside = in_model.insert(made, {"x": raw})
    said = {node.op: mend(node.op, node.origin) for node in inside.nodes}
    assert said["Transpose"] == "write `input_layout: NCHW` for `x`"
    assert said["Add"] == "preprocess `x` before the chip (without `in_model`)"
    assert said["Relu"] == ""
    transpose = next(node for node in inside.nodes if node.op == "Transpose")
    removed = Removed(transpose.name, "Transpose", transpose.origin, "its perm is not allowed")
    for computing_removed in (0, 4):
        finding = Split(made, made, ("y",), (removed,), 4, computing_removed).finding("kl720")
        assert finding is not None and finding.advice == "write `input_layout: NCHW` for `x`"


def test_a_transpose_of_a_resize_is_none_of_layouts() -> None:
    made = graph([("Relu", "x", "y")], x=(1, 1, 28, 28))
    resized = {"in_model": True, "input_shape": [1, 1, 56, 56], "resize": "stretch", "filter": "area"}
    inside = in_model.insert(made, {"x": from_settings(resized)})
    turned = [node for node in inside.nodes if node.op == "Transpose"]
    said = {mend(node.op, node.origin, node.ints("perm", [])) for node in turned}
    assert turned and said == {"preprocess `x` before the chip (without `in_model`)"}
