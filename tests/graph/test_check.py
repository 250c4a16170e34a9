"""Where nodes run on the seven chips, and what the findings say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from modelbuild.chips.load import load_recipe
from modelbuild.graph.check import Finding, Placement, place
from modelbuild.graph.definable import DEFINED
from modelbuild.graph.model import Graph, Node
from modelbuild.graph.passes import run_passes
from modelbuild.quantize.builders import BUILDERS

Shapes = dict[str, tuple[int, ...]]
NEWER = ("kl530", "kl630", "kl730")
KNERON = ("kl520", "kl720", *NEWER)


def one(op: str, x: tuple[int, ...], y: tuple[int, ...], *constants: Any, **attributes: Any) -> Graph:
    """A graph of one node `n` from `x` to `y`; the constants are its further inputs."""
    names = [f"c{index}" for index in range(len(constants))]
    node = Node(op, "n", ["x", *names], ["y"], attributes)
    values = {name: np.asarray(value) for name, value in zip(names, constants, strict=True)}
    return Graph("g", [node], ["x"], ["y"], values, {"x": x, "y": y})


def conv(kernel: int = 3, stride: int = 1, op: str = "Conv") -> Graph:
    weight = np.zeros((8, 8, kernel, kernel), np.float32)
    attributes = {"strides": [stride, stride], "pads": [0] * 4, "kernel_shape": [kernel, kernel]}
    return one(op, (1, 8, 64, 64), (1, 8, 32, 32), weight, **attributes)


def pool(op: str, size: int, kernel: int, stride: int, **attributes: Any) -> Graph:
    window = {"kernel_shape": [kernel, kernel], "strides": [stride, stride], "pads": [0] * 4}
    return one(op, (1, 8, size, size), (1, 8, size // stride, size // stride), **window, **attributes)


def unit(graph: Graph, chip: str) -> str:
    return place(graph, load_recipe(chip)).units["n"]


def finding(graph: Graph, chip: str, code: str) -> Finding:
    placement = place(graph, load_recipe(chip))
    (found,) = [item for item in placement.findings if item.code == code]
    return found


FOUR = (1, 8, 16, 16)
FLOOR: dict[str, Any] = {
    "mode": "nearest",
    "nearest_mode": "floor",
    "coordinate_transformation_mode": "asymmetric",
}
ELEMENT_WISE_ON_NEWER_ONLY = ("Div", "Elu", "Erf", "HardSigmoid", "Reciprocal", "Sqrt")

# op, graph, the chips whose NPU runs it; on the other Kneron chips it is not on the NPU
TABLE: list[tuple[str, Graph, tuple[str, ...]]] = [
    *(
        (op, one(op, FOUR, FOUR, *([np.float32(2)] if op == "Div" else [])), NEWER)
        for op in ELEMENT_WISE_ON_NEWER_ONLY
    ),
    *((op, one(op, FOUR, FOUR), KNERON) for op in ("Relu", "LeakyRelu", "Neg", "BatchNormalization")),
    *((op, one(op, FOUR, FOUR), ("kl720", *NEWER)) for op in ("Sigmoid", "Tanh", "Exp")),
    *((op, one(op, FOUR, FOUR), ("kl730",)) for op in ("Abs", "Log", "Sign")),
    ("Softmax", one("Softmax", FOUR, FOUR, axis=1), NEWER),
    ("Conv", conv(), KNERON),
    ("Conv 12", conv(kernel=12), KNERON),
    ("Conv 13", conv(kernel=13), ("kl720", *NEWER)),
    ("Conv stride 4", conv(stride=4), KNERON),
    ("Conv stride 5", conv(stride=5), NEWER),
    ("ConvTranspose", conv(stride=2, op="ConvTranspose"), ("kl720", *NEWER)),
    ("ConvTranspose stride 4", conv(stride=4, op="ConvTranspose"), NEWER),
    ("GlobalAveragePool 16", one("GlobalAveragePool", (1, 8, 16, 16), (1, 8, 1, 1)), KNERON),
    ("GlobalAveragePool 17", one("GlobalAveragePool", (1, 8, 17, 17), (1, 8, 1, 1)), ("kl720", *NEWER)),
    ("GlobalAveragePool 129", one("GlobalAveragePool", (1, 8, 129, 129), (1, 8, 1, 1)), ()),
    ("GlobalMaxPool 3", one("GlobalMaxPool", (1, 8, 3, 3), (1, 8, 1, 1)), ("kl720", *NEWER)),
    ("GlobalMaxPool 4", one("GlobalMaxPool", (1, 8, 4, 4), (1, 8, 1, 1)), KNERON),
    ("MaxPool 2/2", pool("MaxPool", 64, 2, 2), KNERON),
    ("MaxPool 3/1", pool("MaxPool", 64, 3, 1), KNERON),
    ("MaxPool 5/1", pool("MaxPool", 64, 5, 1), KNERON),
    ("MaxPool 5/1 ceil", pool("MaxPool", 64, 5, 1, ceil_mode=1), ()),
    ("MaxPool 8/8 ceil", pool("MaxPool", 64, 8, 8, ceil_mode=1), ()),
    ("AveragePool 3/1", pool("AveragePool", 64, 3, 1), KNERON),
    ("AveragePool 8/8", pool("AveragePool", 64, 8, 8), KNERON),
    ("AveragePool 5/1", pool("AveragePool", 64, 5, 1), ()),
    ("Pow 2", one("Pow", FOUR, FOUR, np.float32(2)), ("kl720", *NEWER)),
    ("Pow 3", one("Pow", FOUR, FOUR, np.float32(3)), ()),
    ("Clip 0..6", one("Clip", FOUR, FOUR, np.float32(0), np.float32(6)), KNERON),
    ("Clip -1..1", one("Clip", FOUR, FOUR, np.float32(-1), np.float32(1)), ()),
    ("Mul", one("Mul", FOUR, FOUR, np.ones((1, 8, 1, 1), np.float32)), ("kl720", *NEWER)),
    ("Add rank 5", one("Add", (1, 2, 3, 4, 5), (1, 2, 3, 4, 5), np.float32(1)), ("kl730",)),
    ("Concat", one("Concat", FOUR, (1, 9, 16, 16), np.zeros((1, 1, 16, 16), np.float32), axis=1), KNERON),
    ("Reshape", one("Reshape", FOUR, (1, 2048), np.array([1, 2048])), ("kl720", *NEWER)),
    ("Reshape 1x1", one("Reshape", (1, 8, 1, 1), (1, 8), np.array([1, 8])), KNERON),
    ("Transpose ch/row", one("Transpose", FOUR, (1, 16, 8, 16), perm=[0, 2, 1, 3]), ("kl720", *NEWER)),
    ("Transpose NHWC", one("Transpose", FOUR, (1, 16, 16, 8), perm=[0, 2, 3, 1]), NEWER),
    ("Transpose batch", one("Transpose", FOUR, (8, 1, 16, 16), perm=[1, 0, 2, 3]), ("kl730",)),
    ("Pad 31", one("Pad", FOUR, (1, 8, 47, 16), np.array([0, 0, 31, 0, 0, 0, 0, 0])), KNERON),
    ("Pad 32", one("Pad", FOUR, (1, 8, 48, 16), np.array([0, 0, 32, 0, 0, 0, 0, 0])), ()),
    ("ReduceMean", one("ReduceMean", FOUR, (1, 8, 1, 1), axes=[2, 3], keepdims=1), ("kl720", *NEWER)),
    ("ReduceSum channels", one("ReduceSum", FOUR, (1, 1, 16, 16), np.array([1]), keepdims=1), KNERON),
    (
        "ReduceSum rows",
        one("ReduceSum", FOUR, (1, 8, 1, 16), np.array([2]), keepdims=1),
        ("kl720", *NEWER),
    ),
    ("Resize cubic", one("Resize", FOUR, (1, 8, 32, 32), mode="cubic"), ()),
    ("Resize nearest", one("Resize", FOUR, (1, 8, 32, 32), mode="nearest"), NEWER),
    ("Resize nearest floor", one("Resize", FOUR, (1, 8, 32, 32), **FLOOR), ("kl520", *NEWER)),
    ("Resize rows", one("Resize", FOUR, (1, 8, 32, 16), **FLOOR), KNERON),
    ("Resize up and down", one("Resize", FOUR, (1, 8, 32, 8), mode="linear"), NEWER),
    ("Resize extrapolating", one("Resize", FOUR, (1, 8, 32, 16), **FLOOR, extrapolation_value=1.0), ()),
    ("Resize rank 3", one("Resize", (1, 8, 16), (1, 8, 32), mode="nearest"), NEWER),
    (
        "DepthToSpace 4",
        one("DepthToSpace", (1, 16, 8, 8), (1, 1, 32, 32), blocksize=4, mode="CRD"),
        NEWER,
    ),
    (
        "DepthToSpace 2",
        one("DepthToSpace", (1, 4, 8, 8), (1, 1, 16, 16), blocksize=2, mode="CRD"),
        KNERON,
    ),
    ("NonMaxSuppression", one("NonMaxSuppression", (1, 5, 4), (3, 3)), ()),
]


@pytest.mark.parametrize(("graph", "chips"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_the_kneron_table(graph: Graph, chips: tuple[str, ...]) -> None:
    assert tuple(chip for chip in KNERON if unit(graph, chip) == "npu") == chips


@pytest.mark.parametrize(
    ("graph", "expected"),
    [
        (conv(stride=31), "npu"),
        (conv(stride=32), "none"),
        (conv(stride=8, op="ConvTranspose"), "npu"),
        (conv(stride=3, op="ConvTranspose"), "none"),
        (pool("MaxPool", 256, 127, 1), "npu"),
        (pool("MaxPool", 256, 128, 1), "cpu"),
        (one("HardSwish", FOUR, FOUR), "npu"),
        (one("HardSwish", (1, 8), (1, 8)), "cpu"),  # not of rank 4
        (one("Softmax", (1, 10), (1, 10), axis=1), "npu"),
        (one("Softmax", FOUR, FOUR, axis=3), "cpu"),
        (one("Pow", FOUR, FOUR, np.float32(-0.5)), "npu"),
        (one("Pad", FOUR, (1, 9, 16, 16), np.array([0, 1, 0, 0, 0, 0, 0, 0])), "cpu"),
        (one("ReduceMin", FOUR, (1, 8, 1, 1), axes=[2, 3]), "none"),
        (one("GridSample", FOUR, FOUR, np.zeros((1, 16, 16, 2), np.float32)), "none"),
    ],
)
@pytest.mark.parametrize("chip", ["mlsoc", "modalix"])
def test_the_sima_table(graph: Graph, expected: str, chip: str) -> None:
    assert unit(graph, chip) == expected


def test_a_broken_rule_is_named_with_its_numbers() -> None:
    found = finding(conv(stride=5), "kl720", "MB102")
    assert found.message == "Conv `n`: stride 5 > 4 on kl720; nothing on this chip runs it"
    assert (found.severity, found.node) == ("error", "n")
    assert "another chip" in found.advice


def advice(graph: Graph, chip: str) -> str:
    others = [load_recipe(name) for name in ("kl520", "kl530", "kl720", "k210", "modalix")]
    (found,) = [one for one in place(graph, load_recipe(chip), lambda: others).findings if one.node == "n"]
    return found.advice


def test_advice_says_what_is_allowed_what_rewrites_it_and_who_else_runs_it() -> None:
    told = advice(conv(stride=5), "kl720").split("; or ")
    assert told == [
        "allowed is stride over rows at most 4: take smaller steps in two layers instead of a large one",
        "let the pass `strided_conv_to_slice` rewrite it, in a recipe of your own (`extends: kl720`, "
        "`own_passes: [strided_conv_to_slice]`)",
        "take another chip: the NPU of kl530 and modalix runs it",
    ]
    told = advice(pool("AveragePool", 64, 5, 1), "kl720").split("; or ")
    assert told[0].startswith("allowed is stride at least 4 or kernel at most 3: ")
    assert told[-1] == "take another chip: the NPU of modalix runs it"
    assert "takes another" not in advice(one("Softmax", FOUR, FOUR, axis=3), "k210")


def test_advice_names_the_node_of_the_source_to_cut_at() -> None:
    graph = chain("Conv", "TopK")
    graph.nodes[0].origin = ("backbone/conv", "backbone/relu")
    (found,) = place(graph, load_recipe("kl720")).findings
    assert 'cut the model before it (edit: [{cut: {outputs: ["backbone/relu"]}}])' in found.advice
    first = place(one("TopK", FOUR, FOUR), load_recipe("kl720")).findings[0]
    assert "cut" not in first.advice  # there is nothing before it


def test_advice_on_the_cpu_is_equal_for_equal_nodes() -> None:
    placement = place(chain("Conv", "Sigmoid", "Conv", "Sigmoid", "Conv"), load_recipe("kl520"))
    first, second = (found for found in placement.findings if found.code == "MB103")
    assert first.advice == second.advice and "accept the time of the CPU" in first.advice
    at_the_end = place(chain("Conv", "Sigmoid"), load_recipe("kl520")).findings[-1]
    assert "edit: [{tail: auto}]" in at_the_end.advice


def test_a_pass_that_was_left_out_is_named() -> None:
    large = one("GlobalAveragePool", (1, 8, 32, 32), (1, 8, 1, 1))
    (found,) = [item for item in place(large, load_recipe("kl520")).findings if item.code == "MB104"]
    assert "see that `optimize:` does not leave out the pass `split_global_pool`" in found.advice


NONE = np.zeros(0, np.float32)
LOWERED: list[tuple[str, Graph, list[str]]] = [
    ("kl520", one("GlobalAveragePool", (1, 8, 32, 32), (1, 8, 1, 1)), ["npu", "npu"]),
    ("kl720", one("GlobalAveragePool", (1, 8, 160, 160), (1, 8, 1, 1)), ["npu", "npu"]),
    ("kl520", one("Resize", FOUR, (1, 8, 8, 8), NONE, np.array([1, 1, 0.5, 0.5], np.float32)), ["npu"]),
    ("kl720", one("Resize", FOUR, (1, 8, 32, 32), NONE, np.array([1, 1, 2, 2], np.float32)), ["npu"] * 2),
    ("k210", conv(stride=3), ["npu", "cpu"]),
]


@pytest.mark.parametrize(("chip", "graph", "expected"), LOWERED)
def test_what_the_chips_own_passes_bring_to_its_npu(chip: str, graph: Graph, expected: list[str]) -> None:
    graph.dtypes = {name: np.dtype(np.float32) for name in graph.shapes}
    recipe = load_recipe(chip)
    lowered, _ = run_passes(graph, recipe.passes)
    assert list(place(lowered, recipe).units.values()) == expected


def test_kernels_and_deconvolutions_that_kl520_lacks() -> None:
    recipe = load_recipe("kl520")
    for graph in (conv(kernel=13), conv(stride=2, op="ConvTranspose")):
        size = 52 if graph.nodes[0].op == "Conv" else 129
        graph.shapes["y"] = (1, 8, size, size)
        graph.nodes[0].attributes |= {"dilations": [1, 1], "group": 1}
        graph.dtypes = {name: np.dtype(np.float32) for name in graph.shapes}
        lowered, _ = run_passes(graph, recipe.passes)
        units = place(lowered, recipe).units
        assert "none" not in units.values()
        assert {units[node.name] for node in lowered.nodes if node.op == "Conv"} == {"npu"}


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
    placement = place(chain("Conv", "Relu", "Relu", "Conv", "LeakyRelu"), load_recipe("kl720"))
    assert list(placement.units.values()) == ["npu", "fused", "npu", "npu", "fused"]
    assert placement.findings == () and placement.reasons == {}


def test_an_activation_is_not_fused_where_others_read_what_is_before_it() -> None:
    graph = chain("Conv", "Relu")
    graph.outputs.append("t1")
    assert place(graph, load_recipe("kl720")).units["Relu1"] == "npu"
    graph = chain("Conv", "Relu")
    graph.nodes.append(Node("Neg", "other", ["t1"], ["t9"]))
    graph.shapes["t9"] = FOUR
    assert place(graph, load_recipe("kl720")).units["Relu1"] == "npu"


def test_a_cpu_node_between_npu_nodes_is_a_warning_and_at_the_end_a_note() -> None:
    placement = place(chain("Conv", "Sigmoid", "Conv", "Sigmoid"), load_recipe("kl520"))
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
    errors = [f.message for f in place(graph, load_recipe("kl530")).findings if f.code == "MB105"]
    assert [message.partition(" does not define it where ")[2] for message in errors] == [reason]


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
    assert all(item.severity != "error" for item in place(graph, load_recipe("kl720")).findings)


def test_infinite_bounds_are_bounds() -> None:
    graph = one("Clip", FOUR, FOUR, np.float32(0), np.float32("inf"))
    assert place(graph, load_recipe("kl720")).findings == ()


def test_an_output_that_is_a_constant() -> None:
    graph = one("Relu", FOUR, FOUR)
    graph.outputs.append("k")
    graph.constants["k"] = np.zeros(3, np.float32)
    found = finding(graph, "kl720", "MB108")
    assert found.severity == "error" and "the output `k` is a constant" in found.message


def test_the_defined_operators_are_those_that_can_be_built() -> None:
    assert set(DEFINED["multiplier_shift@1"]) == set(BUILDERS)


def test_what_the_cpu_runs_is_defined() -> None:
    rules = load_recipe("kl520").operators
    assert {rule.op for rule in rules if rule.unit == "cpu"} <= set(DEFINED["multiplier_shift@1"])


def test_more_inputs_than_the_container_has() -> None:
    graph = one("Add", FOUR, FOUR)
    graph.nodes[0].inputs, graph.inputs, graph.shapes["z"] = ["x", "z"], ["x", "z"], FOUR
    assert (
        finding(graph, "kl520", "MB106").message == "the model has 2 inputs; a model for kl520 has at most 1"
    )
    assert all(item.code != "MB106" for item in place(graph, load_recipe("kl720")).findings)


def test_parameters_that_no_memory_of_the_chip_holds() -> None:
    weight = np.broadcast_to(np.float32(0), (6000, 6200))
    graph = one("Gemm", (1, 6200), (1, 6000), weight, transB=1)
    assert "37200000 bytes at 8 bits; kl520 holds 36700160" in finding(graph, "kl520", "MB107").message
    assert place(graph, load_recipe("kl720")).findings == ()


def test_a_parameter_that_is_computed_at_run_time_breaks_the_rule_that_asks_for_it() -> None:
    graph = one("Pad", FOUR, FOUR)
    graph.nodes[0].inputs = ["x", "p"]
    message = finding(graph, "kl720", "MB102").message
    assert message == "Pad `n`: input 1 (`p`) is not a constant on kl720; nothing on this chip runs it"


def test_the_same_graph_gives_the_same_findings_in_graph_order() -> None:
    graph = chain("Sigmoid", "Conv", "If", "Softmax")
    first: Placement = place(graph, load_recipe("kl520"))
    assert first.to_json() == place(graph, load_recipe("kl520")).to_json()
    assert [item.node for item in first.findings] == ["Sigmoid0", "If2", "Softmax3"]
    data = first.to_json()["findings"]
    assert isinstance(data, list)
    assert set(data[0]) == {"code", "severity", "message", "advice", "file", "line", "column", "node"}
