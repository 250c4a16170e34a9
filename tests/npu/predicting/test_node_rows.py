"""A line for each node: on the NPU, fused into what stands before it, on the CPU, nowhere."""

from __future__ import annotations

from modelbuild.graph.model import Node
from tests.npu.predicted import chip, conv_graph, predicted
from tests.quantize.cases import graph_of, normal


def test_every_node_has_a_line_and_the_layer_that_counts_it() -> None:
    nodes = [
        Node("Conv", "c", ["x", "w"], ["t"], origin=("stem",)),
        Node("Relu", "r", ["t"], ["u"]),
        Node("Softmax", "s", ["u"], ["v"], {"axis": 1}),
        Node("Sigmoid", "z", ["v"], ["y"]),
    ]
    graph = graph_of(nodes, {"x": (1, 3, 8, 8)}, ["y"], {"w": normal(4, 3, 3, 3)})
    said = predicted(graph, chip(), r="fused", s="cpu", z="none")[1]
    assert [tuple(row.values()) for row in said["nodes"]] == [
        ("c", "Conv", ["stem"], "npu", "npu_fusion_node_c_r", "c"),
        ("r", "Relu", ["r"], "fused", "npu_fusion_node_c_r", "c"),
        ("s", "Softmax", ["s"], "cpu", "cpu_fusion_node_s", None),
        ("z", "Sigmoid", ["z"], "none", "none_fusion_node_z", None),
    ]


def test_what_one_operator_does_is_one_node_and_others_fused() -> None:
    said = predicted(conv_graph(), chip())[1]
    assert [(row["name"], row["type"]) for row in said["nodes"]] == [("c", "npu"), ("r", "fused")]
    assert {row["layer"] for row in said["nodes"]} == {"c"}
