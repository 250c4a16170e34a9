"""K210's limits (nncase v1.9.0), and what its CPU runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelbuild.chips.load import load_recipe
from modelbuild.graph import guard
from modelbuild.graph.chains import FUNCTIONS
from modelbuild.graph.check import place
from modelbuild.graph.codes import CODES
from modelbuild.graph.definable import DEFINED
from modelbuild.graph.model import Graph
from modelbuild.graph.normalise import normalise
from modelbuild.graph.passes import run_passes
from modelbuild.kpu.lowering.functions import OPERATORS
from tests.graph.small import graph, numbers
from tests.graph.tables import behind, conv, one, pool, recipe, units

MAP = (1, 8, 64, 64)


def sized(height: int, width: int, channels: int = 8, out: int = 8, **more: Any) -> Graph:
    return conv(x=(1, channels, height, width), out=out, **more)


LIMITS: list[tuple[str, Graph, str]] = [
    ("3x3", conv(), "npu"),
    ("1x1", conv((1, 1)), "npu"),
    ("5x5", conv((5, 5)), "npu"),
    ("3x1", conv((3, 1)), "npu"),
    ("stride 2", conv(stride=(2, 2)), "npu"),
    ("stride 2x1", conv(stride=(2, 1)), "npu"),
    ("stride 3", conv(stride=(3, 3)), "npu"),
    ("depthwise", conv(group=8), "npu"),
    ("depthwise, stride 2", conv(group=8, stride=(2, 2)), "npu"),
    ("in two groups", conv(group=2), "npu"),
    ("dilated", conv(dilations=[2, 2]), "npu"),
    ("4x4", sized(4, 4), "npu"),
    ("3 rows", sized(3, 8), "npu"),
    ("3 columns", sized(8, 3), "npu"),
    ("256x512", sized(256, 512, 1, 1), "npu"),
    # what is larger goes in strips, where there are 15 products for each cell that comes or goes
    ("257 rows", sized(257, 8), "npu"),
    ("513 columns", sized(8, 513), "npu"),
    ("257 rows of 4 products a cell", sized(257, 8, kernel=(1, 1)), "cpu"),
    ("257 depthwise rows", sized(257, 8, group=8), "cpu"),
    ("320 rows in steps of two", sized(320, 8, 3, stride=(2, 2)), "npu"),
    (
        "256 rows without any around them",
        one(
            "Conv",
            (1, 3, 256, 8),
            (1, 2, 254, 6),
            numbers(2, 3, 3, 3),
            kernel_shape=[3, 3],
            strides=[1, 1],
            pads=[0] * 4,
        ),
        "npu",
    ),
    ("1024 channels", sized(8, 8, 1024, 64, kernel=(1, 1)), "npu"),
    ("1025 channels", sized(8, 8, 1025, 8), "cpu"),
    ("1025 output channels", sized(8, 8, 8, 1025), "npu"),
    # 240 rows of 5 times 64 bytes each: 76,800 bytes a channel; 2 MB are 27.3 of them, some of which
    # are the output's; layers take turns where the outputs do not fit beside the inputs
    ("25 channels of 320x240", sized(240, 320, 25, 30), "npu"),
    ("26 channels of 320x240", sized(240, 320, 26, 30), "npu"),
    ("27 channels of 320x240", sized(240, 320, 27, 1), "cpu"),
    ("256 rows with two around them", sized(256, 8, pads=[2, 2, 2, 2]), "npu"),
    ("100 channels of 128x128", sized(128, 128, 100, 8), "npu"),
    ("the same with two columns around", sized(128, 128, 100, 8, pads=[2, 2, 2, 2]), "npu"),
    ("64 samples", conv(x=(64, 8, 32, 32)), "npu"),
    ("256 samples", conv(x=(256, 8, 32, 32)), "npu"),
    (
        "4096 rows of 1024",
        one("Gemm", (4096, 1024), (4096, 8), np.zeros((8, 1024), np.float32), transB=1),
        "cpu",
    ),
    ("14 depthwise channels of 320x240", sized(240, 320, 14, 14, group=14), "npu"),
    # 9216 bytes an output channel: three a load, 64 loads a layer
    ("65 loads", sized(8, 8, 1024, 193), "npu"),
    # 25 products an output channel for each cell, which is copied four times
    ("5x5 to 2 channels", sized(60, 60, 8, 2, kernel=(5, 5)), "cpu"),
    ("5x5 to 3 channels", sized(60, 60, 8, 3, kernel=(5, 5)), "npu"),
    ("7x7 to 2 channels", sized(60, 60, 4, 2, kernel=(7, 7)), "cpu"),
    ("7x7 to 3 channels", sized(60, 60, 4, 3, kernel=(7, 7)), "npu"),
    ("dilated to 6 channels", sized(60, 60, 16, 6, dilations=[2, 2], pads=[2, 2, 2, 2]), "cpu"),
    ("dilated to 8 channels", sized(60, 60, 16, 8, dilations=[2, 2], pads=[2, 2, 2, 2]), "npu"),
    ("depthwise 5x5", sized(60, 60, 32, 32, kernel=(5, 5), group=32), "cpu"),
    ("5x5 of 257 channels", sized(16, 16, 257, 8, kernel=(5, 5)), "cpu"),
    ("11x11", conv((11, 11)), "cpu"),
    ("Gemm of 400", one("Gemm", (1, 400), (1, 400), np.zeros((400, 400), np.float32), transB=1), "cpu"),
    ("a small Gemm", one("Gemm", (1, 64), (1, 10), np.zeros((10, 64), np.float32), transB=1), "cpu"),
    ("Gemm", one("Gemm", (1, 1024), (1, 1000), np.zeros((1000, 1024), np.float32), transB=1), "npu"),
    ("Gemm of 1025", one("Gemm", (1, 1025), (1, 8), np.zeros((8, 1025), np.float32), transB=1), "cpu"),
    ("PRelu", one("PRelu", MAP, MAP, np.zeros((8, 1, 1), np.float32)), "cpu"),
    ("GRU", one("GRU", (4, 1, 8), (4, 1, 1, 8)), "cpu"),
    ("NonZero", one("NonZero", MAP, MAP), "none"),
    ("Einsum", one("Einsum", MAP, MAP, equation="abcd->abcd"), "none"),
]


@pytest.mark.parametrize(("graph", "unit"), [row[1:] for row in LIMITS], ids=[row[0] for row in LIMITS])
def test_limits(graph: Graph, unit: str) -> None:
    assert units(graph, "k210") == [unit]


@pytest.mark.parametrize(
    ("graph", "reason"),
    [
        (sized(320, 8, group=8), "height 320 > 256"),
        (
            sized(60, 60, 8, 2, kernel=(5, 5)),
            "multiply-accumulates for each cell that the CPU moves 12.1 < 15",
        ),
        (sized(16, 16, 256, 8, kernel=(7, 7)), "channels 2,304 > 1,024"),
    ],
)
def test_limits_are_told_as_the_docs_say(graph: Graph, reason: str) -> None:
    """The widest form of each limit alone, and numbers without exponents."""
    assert place(graph, recipe("k210")).reasons == {"n": f"{reason} on k210"}
    page = Path(__file__).parents[2] / "docs/k210.md"
    assert f"\n{reason} on k210" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize("op", ["Relu", "Clip", "LeakyRelu", "Sigmoid", "Tanh", "HardSwish", "Elu"])
def test_activations_are_fused_into_the_convolution(op: str) -> None:
    assert units(behind(conv(), op, MAP), "k210") == ["npu", "fused"]
    assert units(behind(one("Neg", MAP, MAP), op, MAP), "k210") == ["cpu", "cpu"]
    assert units(behind(conv((11, 11)), op, MAP), "k210") == ["cpu", "cpu"]


def pooled(op: str, kernel: int, stride: int, **before: Any) -> list[str]:
    activated = behind(conv(**before), "Relu", MAP)
    size = 64 // stride
    settings = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2}
    return units(behind(activated, op, (1, 8, size, size), **settings), "k210")


@pytest.mark.parametrize("op", ["MaxPool", "AveragePool"])
def test_pools_are_fused_behind_an_ordinary_convolution_and_layers_behind_others(op: str) -> None:
    for kernel, stride in ((2, 2), (2, 1), (4, 4)):
        assert pooled(op, kernel, stride) == ["npu", "fused", "fused"]
    assert pooled(op, 3, 2) == ["npu", "fused", "npu" if op == "MaxPool" else "cpu"]  # in two steps
    assert pooled(op, 4, 2) == ["npu", "fused", "cpu"]
    assert pooled(op, 2, 2, group=8) == ["npu", "fused", "npu"]
    assert units(pool(op, (2, 2), (2, 2)), "k210") == ["cpu"]


def test_what_does_not_compile_is_told_once_and_is_no_error() -> None:
    known = recipe("k210")
    unknown = known.number_format.model_copy(update={"arithmetic": "kpu@2"})
    findings = place(conv(), known.model_copy(update={"number_format": unknown})).findings
    assert [(found.code, found.severity) for found in findings] == [("MB110", "warning")]


def test_the_lists_of_the_interpreter() -> None:
    only_new = ["Hardmax", "Mod", "OneHot", "Range"]
    only_ours = ["And", "Atanh", "GRU", "Greater", "Less", "RNN", "Reciprocal", "Shrink", "ThresholdedRelu"]
    neither = ["Compress", "Einsum", "GridSample", "If", "NonMaxSuppression", "NonZero", "RoiAlign"]
    both = [
        "ArgMax",
        "Atan",
        "Conv",
        "CumSum",
        "Erf",
        "LSTM",
        "MatMul",
        "Mean",
        "Or",
        "ReduceL2",
        "Softmax",
        "TopK",
        "Where",
    ]
    for edition, has, has_not in (
        (None, [*only_ours, *both], [*only_new, *neither]),
        ("v2.11.0", [*only_new, *both], [*only_ours, *neither]),
    ):
        found = {op: units(one(op, MAP, MAP), "nncase-cpu", edition) for op in [*has, *has_not]}
        assert found == {op: ["cpu" if op in has else "none"] for op in [*has, *has_not]}


@pytest.mark.parametrize("chip", ["k210", "nncase-cpu"])
def test_what_nothing_lowers_is_refused_before_a_build(chip: str) -> None:
    """Whatever the list of the edition says."""
    for op, code in (("Where", "MB105"), ("LSTM", "MB105"), ("OneHot", "MB101")):
        placement = place(one(op, MAP, MAP), recipe(chip))
        assert placement.units == {"n": "none"}
        assert [found.code for found in placement.findings if found.severity == "error"] == [code]
    placement = place(one("TopK", MAP, MAP), recipe("nncase-cpu", None, "v2.11.0"))
    (error,) = (found for found in placement.findings if found.severity == "error")
    assert error.message == "TopK `n`: nothing on nncase-cpu runs it: modelbuild lowers no TopK"
    assert placement.reasons == {"n": "modelbuild lowers no TopK on nncase-cpu"}


def test_the_list_is_what_is_defined_and_what_passes_rewrite() -> None:
    listed = {rule.op for rule in recipe("k210").operators if rule.unit == "cpu"}
    assert listed - set(DEFINED["kpu@1"]) == {
        "And", "Cast", "Constant", "ConstantOfShape", "Dropout", "Equal", "GRU", "Greater", "GreaterOrEqual",
        "Identity", "InstanceNormalization", "LSTM", "LayerNormalization", "Less", "LessOrEqual", "Not", "Or",
        "RNN", "Shape", "Size", "Where", "Xor",
    }  # fmt: skip
    assert set(DEFINED["kpu@1"]) <= listed


def test_functions_of_one_number_are_those_that_tables_are_made_of() -> None:
    assert set(OPERATORS) == FUNCTIONS
    assert {rule.op for rule in recipe("k210").operators if "chained" in rule.when} == FUNCTIONS


def test_kmodels_are_written_for_one_edition() -> None:
    """Of what another has nobody is warned; and a target that names another builds nothing."""
    placement = place(conv(), recipe("nncase-cpu"))
    assert placement.findings == ()  # there is no NPU to be missed
    assert placement.reasons == {"n": "there is no NPU on nncase-cpu"}
    assert "MB109" not in {found.code for found in place(one("GRU", MAP, MAP), recipe("nncase-cpu")).findings}
    (found,) = place(conv(), load_recipe("nncase-cpu", edition="v2.11.0")).findings
    assert (found.code, found.severity) == ("MB110", "warning") and CODES[found.code].stops
    assert "a kmodel is written for v1.9.0 of the vendor's runtime, not for v2.11.0" in found.message


def test_a_model_that_fills_the_memory() -> None:
    weight = np.broadcast_to(np.float32(0), (1024, 6145))
    graph = one("Gemm", (1, 6145), (1, 1024), weight, transB=1)
    found = place(graph, recipe("k210")).findings
    assert "6,292,480 bytes at 8 bits; k210 holds 6,291,456" in next(
        f.message for f in found if f.code == "MB107"
    )


def activated(*steps: tuple[Any, ...], **constants: Any) -> tuple[list[str], Graph]:
    """Where the nodes of `steps` behind a Conv of 8 channels run, once lowered."""
    weights = {"w": numbers(8, 8, 3, 3), "b": numbers(8), **constants}
    before = graph([("Conv", "x w b", "c", {"pads": [1, 1, 1, 1]}), *steps], weights, x=(1, 8, 16, 16))
    lowered, _ = run_passes(normalise(before)[0], load_recipe("k210").passes)
    guard.check(before, lowered)
    return list(place(lowered, load_recipe("k210")).units.values()), lowered


def test_a_gate_and_its_product_are_one_table() -> None:
    """nncase's `fused_unary` takes in a product of two functions of one tensor."""
    for gate in ("Sigmoid", "Tanh", "HardSigmoid"):
        assert activated((gate, "c", "g"), ("Mul", "g c", "y"))[0] == ["npu", "fused", "fused"]
    others = activated(("Sigmoid", "c", "g"), ("Mul", "g c", "m"), ("Add", "m c", "y"))[0]
    assert others == ["npu", "fused", "fused", "fused"]
    alone = activated(("Sigmoid", "c", "g"), ("Mul", "g x", "y"))[0]
    assert alone == ["npu", "fused", "cpu"]


def test_slopes_a_channel_are_convolutions() -> None:
    units, lowered = activated(("PRelu", "c s", "y"), s=numbers(8, 1, 1))
    assert [node.op for node in lowered.nodes] == ["Conv", "Relu", "Conv"]
    assert units == ["npu", "fused", "npu"]
    units, lowered = activated(("PRelu", "c s", "y"), s=np.full((8, 1, 1), 0.25))
    assert ([node.op for node in lowered.nodes], units) == (["Conv", "LeakyRelu"], ["npu", "fused"])


def advice_of(graph: Graph, chip: str = "k210") -> tuple[str, str, str]:
    (found,) = place(graph, recipe(chip)).findings
    return found.severity, found.message, found.advice


def test_what_is_advised_can_be_done() -> None:
    """No toolchain that is not there, no tail where the CPU's part is in the file, nothing to wait for."""
    _, message, advice = advice_of(one("LSTM", MAP, MAP))
    assert "modelbuild lowers no LSTM but one of constant weights" in message and "kpu@1" not in message
    assert "toolchain" not in advice and "@" not in advice
    assert advice_of(one("Softmax", MAP, MAP)) == (
        "note",
        "Softmax `n`: the NPU has no Softmax on k210; it runs on the CPU",
        "accept the time of the CPU (`modelbuild evaluate` tells it)",
    )
    _, _, advice = advice_of(pool("MaxPool", (3, 3), (3, 3)))
    assert "5x5" not in advice and "take a window and a stride that it has" in advice


def test_weights_that_are_not_finite_are_a_damaged_file() -> None:
    weight = np.ones((8, 8, 1, 1), np.float32)
    weight[0] = np.nan
    _, message, advice = advice_of(one("Conv", MAP, MAP, weight))
    assert message == "Conv `n`: its constant `c0` holds numbers that are not finite"
    assert advice == "the file is damaged, or its training went wrong: export the model again"


def test_what_moves_no_byte_is_told_between_layers_alone() -> None:
    flat = one("Reshape", (1, 8, 4, 4), (1, 128), np.array([1, 128]))
    assert not place(flat, recipe("k210")).findings
    assert place(flat, recipe("k210")).units == {"n": "cpu"}
    assert not place(one("Transpose", (1, 8, 1, 1), (1, 1, 1, 8), perm=[0, 2, 3, 1]), recipe("k210")).findings
    moved = place(one("Transpose", (1, 8, 4, 4), (1, 4, 4, 8), perm=[0, 2, 3, 1]), recipe("k210"))
    assert [found.severity for found in moved.findings] == ["note"]
