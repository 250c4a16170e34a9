"""What the findings say. Which unit runs what is in test_kneron_tables and its neighbours."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from modelbuild.graph.check import Finding, Placement, place
from modelbuild.graph.definable import DEFINED
from modelbuild.graph.model import Graph, Node
from modelbuild.quantize.builders import BUILDERS
from tests.graph import small
from tests.graph.small import Step, numbers
from tests.graph.tables import one, recipe

Shapes = dict[str, tuple[int, ...]]


def conv(kernel: int = 3, stride: int = 1, op: str = "Conv") -> Graph:
    weight = np.zeros((8, 8, kernel, kernel), np.float32)
    attributes = {"strides": [stride, stride], "pads": [0] * 4, "kernel_shape": [kernel, kernel]}
    return one(op, (1, 8, 64, 64), (1, 8, 32, 32), weight, **attributes)


def pool(op: str, size: int, kernel: int, stride: int, **attributes: Any) -> Graph:
    window = {"kernel_shape": [kernel, kernel], "strides": [stride, stride], "pads": [0] * 4}
    return one(op, (1, 8, size, size), (1, 8, size // stride, size // stride), **window, **attributes)


def finding(graph: Graph, chip: str, code: str) -> Finding:
    placement = place(graph, recipe(chip))
    (found,) = [item for item in placement.findings if item.code == code]
    return found


FOUR = (1, 8, 16, 16)


def test_a_broken_rule_is_named_with_its_numbers() -> None:
    found = finding(conv(stride=5), "kl720", "MB102")
    assert found.message == "Conv `n`: stride 5 > 4 on kl720; nothing on this chip runs it"
    assert (found.severity, found.node) == ("error", "n")
    assert "another chip" in found.advice


def test_every_broken_condition_and_every_near_form_is_named() -> None:
    both = conv(kernel=13, stride=5)
    assert finding(both, "kl520", "MB102").message.startswith("Conv `n`: kernel 13 > 12 and stride 5 > 4 on")
    average = finding(pool("AveragePool", 64, 5, 1), "kl720", "MB104")
    assert average.message == "AveragePool `n`: stride 1 < 4, or kernel 5 > 3 on kl720; it runs on the CPU"


def test_an_operator_that_nothing_runs() -> None:
    for op in ("NonMaxSuppression", "If", "LSTM", "TopK", "GridSample", "Einsum"):
        found = finding(one(op, FOUR, FOUR), "kl720", "MB101")
        assert found.message == f"{op} `n`: no unit of kl720 runs {op}"
        assert found.advice and found.severity == "error"


def test_an_operator_of_another_domain_is_not_taken_for_onnx() -> None:
    graph = one("Conv", FOUR, FOUR, np.zeros((8, 8, 1, 1), np.float32))
    graph.nodes[0].domain = "com.example"
    assert "no unit of kl720 runs com.example.Conv" in finding(graph, "kl720", "MB101").message


def test_the_cpu_as_the_operators_only_place() -> None:
    found = finding(one("Sigmoid", FOUR, FOUR), "kl520", "MB103")
    assert found.message == "Sigmoid `n`: the NPU has no Sigmoid on kl520; it runs on the CPU"
    assert found.severity == "note"  # nothing on the NPU comes after it


def test_a_division_by_a_tensor_is_not_for_the_cpu() -> None:
    graph = one("Div", FOUR, FOUR)
    graph.nodes[0].inputs = ["x", "x"]
    assert "the NPU has no Div, and for the CPU input 1 (`x`) is not a constant" in (
        finding(graph, "kl520", "MB102").message
    )


def chain(*operators: str) -> Graph:
    """Nodes named by operator and index, each on the output of the one before; Conv has a 3x3 weight."""
    nodes: list[Node] = []
    constants: dict[str, Any] = {}
    for index, op in enumerate(operators):
        weight = [f"w{index}"] if op == "Conv" else []
        constants.update({name: np.zeros((8, 8, 3, 3), np.float32) for name in weight})
        nodes.append(Node(op, f"{op}{index}", [f"t{index}", *weight], [f"t{index + 1}"]))
    shapes: Shapes = {f"t{index}": FOUR for index in range(len(operators) + 1)}
    return Graph("chain", nodes, ["t0"], [f"t{len(operators)}"], constants, shapes)


def test_an_activation_is_fused_into_the_node_before_it() -> None:
    placement = place(chain("Conv", "Relu", "Relu", "Conv", "LeakyRelu"), recipe("kl720"))
    assert list(placement.units.values()) == ["npu", "fused", "npu", "npu", "fused"]
    assert placement.findings == () and placement.reasons == {}


def test_an_activation_is_not_fused_where_others_read_what_is_before_it() -> None:
    graph = chain("Conv", "Relu")
    graph.outputs.append("t1")
    assert place(graph, recipe("kl720")).units["Relu1"] == "npu"
    graph = chain("Conv", "Relu")
    graph.nodes.append(Node("Neg", "other", ["t1"], ["t9"]))
    graph.shapes["t9"] = FOUR
    assert place(graph, recipe("kl720")).units["Relu1"] == "npu"


def test_a_cpu_node_between_npu_nodes_is_a_warning_and_at_the_end_a_note() -> None:
    placement = place(chain("Conv", "Sigmoid", "Conv", "Sigmoid"), recipe("kl520"))
    assert [(item.node, item.severity) for item in placement.findings] == [
        ("Sigmoid1", "warning"),
        ("Sigmoid3", "note"),
    ]
    assert placement.reasons == {
        "Sigmoid1": "the NPU has no Sigmoid on kl520",
        "Sigmoid3": "the NPU has no Sigmoid on kl520",
    }


def test_what_the_chip_runs_but_the_arithmetic_does_not_define() -> None:
    found = finding(one("Max", FOUR, FOUR), "kl730", "MB105")
    assert found.message == "Max `n`: kl730 runs it, but multiplier_shift@1 has no Max"
    assert found.severity == "error"
    dynamic = one("Conv", FOUR, FOUR)
    dynamic.nodes[0].inputs = ["x", "x"]
    assert finding(dynamic, "kl720", "MB105").message.endswith(
        "does not define it where input 1 (`x`) is not a constant"
    )


UNDEFINED: list[tuple[Graph, str]] = [
    (one("PRelu", FOUR, FOUR, np.ones(FOUR[1:], np.float32)), "it has neither one slope nor one a channel"),
    (one("Pow", FOUR, FOUR, np.ones((8, 1, 1), np.float32)), "it has 8 exponents"),
    (
        pool("AveragePool", 64, 2, 2, ceil_mode=1, count_include_pad=1),
        "ceil_mode adds cells to those that count_include_pad counts",
    ),
    (one("Gemm", (8, 4), (4, 5), np.ones((5, 8), np.float32), transA=1), "its first input is transposed"),
    (one("MatMul", (1, 4, 8), (1, 4), np.ones(8, np.float32)), "rank of the second input 1 < 2"),
    (one("Resize", FOUR, (1, 8, 8, 8), mode="linear", antialias=1), "it has antialias or exclude_outside"),
    (one("Add", FOUR, FOUR, np.float32("nan")), "its constant `c0` holds numbers that are not finite"),
    (
        one("ConvTranspose", FOUR, (1, 8, 13, 13), np.ones((8, 8, 2, 2), np.float32), pads=[2] * 4),
        "it pads by more than its kernel reaches",
    ),
]


@pytest.mark.parametrize(("graph", "reason"), UNDEFINED, ids=[row[1] for row in UNDEFINED])
def test_a_form_that_the_arithmetic_does_not_define_is_an_error_before_any_work(
    graph: Graph, reason: str
) -> None:
    errors = [f.message for f in place(graph, recipe("kl530")).findings if f.code == "MB105"]
    start = "Add `n`: " if "not finite" in reason else " does not define it where "
    assert [message.partition(start)[2] for message in errors] == [reason]


def test_a_window_of_which_the_positions_are_read() -> None:
    graph = pool("MaxPool", 64, 2, 2)
    graph.nodes[0].outputs.append("where")
    assert "its second output, the indices, is read" in finding(graph, "kl720", "MB105").message


def test_tensors_of_integers() -> None:
    graph = one("Reshape", FOUR, (1, 2048), np.array([1, 2048]))
    graph.dtypes = {"x": np.dtype(np.int64), "y": np.dtype(np.int64)}
    assert finding(graph, "kl720", "MB105").message.endswith("does not define it where `x` holds int64")


def test_a_vector_can_be_multiplied_by_a_matrix_of_weights() -> None:
    graph = one("MatMul", (8,), (3,), np.ones((8, 3), np.float32))
    assert all(item.severity != "error" for item in place(graph, recipe("kl720")).findings)


def test_infinite_bounds_are_bounds() -> None:
    graph = one("Clip", FOUR, FOUR, np.float32(0), np.float32("inf"))
    assert place(graph, recipe("kl720")).findings == ()


def test_an_output_that_is_a_constant() -> None:
    graph = one("Relu", FOUR, FOUR)
    graph.outputs.append("k")
    graph.constants["k"] = np.zeros(3, np.float32)
    found = finding(graph, "kl720", "MB108")
    assert found.severity == "error" and "the output `k` is a constant" in found.message


def test_the_defined_operators_are_those_that_can_be_built() -> None:
    assert set(DEFINED["multiplier_shift@1"]) == set(BUILDERS)


def test_what_the_cpu_runs_is_defined() -> None:
    rules = recipe("kl520").operators
    assert {rule.op for rule in rules if rule.unit == "cpu"} <= set(DEFINED["multiplier_shift@1"])


def test_more_inputs_than_the_container_has() -> None:
    graph = one("Add", FOUR, FOUR)
    graph.nodes[0].inputs, graph.inputs, graph.shapes["z"] = ["x", "z"], ["x", "z"], FOUR
    assert (
        finding(graph, "kl520", "MB106").message == "the model has 2 inputs; a model for kl520 has at most 1"
    )
    assert all(item.code != "MB106" for item in place(graph, recipe("kl720")).findings)


def test_parameters_that_no_memory_of_the_chip_holds() -> None:
    weight = np.broadcast_to(np.float32(0), (6000, 6200))
    graph = one("Gemm", (1, 6200), (1, 6000), weight, transB=1)
    assert "37,200,000 bytes at 8 bits; kl520 holds 36,700,160" in finding(graph, "kl520", "MB107").message
    assert place(graph, recipe("kl720")).findings == ()


def test_a_parameter_that_is_computed_at_run_time_breaks_the_rule_that_asks_for_it() -> None:
    graph = one("Pad", FOUR, FOUR)
    graph.nodes[0].inputs = ["x", "p"]
    message = finding(graph, "kl720", "MB102").message
    assert message == "Pad `n`: input 1 (`p`) is not a constant on kl720; nothing on this chip runs it"


def test_the_same_graph_gives_the_same_findings_in_graph_order() -> None:
    graph = chain("Sigmoid", "Conv", "If", "Softmax")
    first: Placement = place(graph, recipe("kl520"))
    assert first.to_json() == place(graph, recipe("kl520")).to_json()
    assert [item.node for item in first.findings] == ["Sigmoid0", "If2", "Softmax3"]
    data = first.to_json()["findings"]
    assert isinstance(data, list)
    assert set(data[0]) == {"code", "severity", "message", "advice", "file", "line", "column", "node"}


def test_the_number_conversion_of_a_port_is_no_work_of_the_npu() -> None:
    """A tail says the same in a float model and in one whose output holds codes."""
    steps: list[Step] = [("Conv", "x w", "a"), ("Softmax", "a", "b", {"axis": 1})]
    constants = {"w": numbers(3, 2, 1, 1), "s": 0.01, "z": np.array(0, np.int8)}
    real = small.graph(steps, constants)
    codes = small.graph([*steps, ("QuantizeLinear", "b s z", "y")], constants)
    found = [finding(graph, "kl520", "MB103") for graph in (real, codes)]
    assert found[0] == found[1] and found[0].severity == "note"
    before_work = small.graph([*steps, ("Conv", "b v", "y")], {**constants, "v": numbers(2, 3, 1, 1)})
    assert finding(before_work, "kl520", "MB103").severity == "warning"
