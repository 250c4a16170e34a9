"""Every supported ONNX operator, from float graph to exact integers, held against onnxruntime."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import onnxruntime
import pytest

from modelbuild.arithmetic.fixed_model import FixedModel
from modelbuild.arithmetic.multiplier_shift import FixedSession
from modelbuild.arithmetic.number import dequantize_array, quantize_array
from modelbuild.chips.load import load_recipe
from modelbuild.errors import ModelbuildError
from modelbuild.graph.model import Node
from modelbuild.quantize import fixed_onnx
from modelbuild.quantize.apply import apply
from modelbuild.quantize.builders import BUILDERS
from modelbuild.quantize.verify import verify
from tests.arithmetic import oracle
from tests.pairs import by_column
from tests.quantize.cases import CASES, Made, graph_of, made_of, make, normal, one_node, samples_of, two
from tests.rows import row

LOSS = {"modalix": 0.0, "kl720": 7.0, "kl520": 14.0}  # dB: symmetric costs a bit, a power of two another


def worst(made: Made) -> float:
    measured = verify(made.fixed, made.graph, iter(made.samples))
    return min(output["snr_db"] for output in measured["outputs"])


def exact(fixed: FixedModel, sample: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    integers = {name: quantize_array(sample[name], fixed.tensors[name]) for name in fixed.inputs}
    found = FixedSession(fixed).run(integers)
    return {name: dequantize_array(found[name], fixed.tensors[name]) for name in fixed.outputs}


@pytest.mark.parametrize(
    ("chip", "cases"), [("modalix", sorted(CASES)), *by_column(sorted(CASES), ("kl520", "kl720"))]
)
def test_fixed_follows_float(chip: str, cases: list[str]) -> None:
    assert {"modalix", "kl520", "kl720"} == set(LOSS)
    for case in cases:
        with row(case):
            assert worst(made_of(case, chip)) >= CASES[case][1] - LOSS[chip]


def test_kernels_equal_the_oracle_on_applied_models() -> None:
    for case in sorted(CASES):
        made = made_of(case, "modalix")
        fixed = made.fixed
        integers = {name: quantize_array(made.samples[0][name], fixed.tensors[name]) for name in fixed.inputs}
        expected, found = oracle.run(fixed, integers), FixedSession(fixed).run(integers, "all")
        for name, values in found.items():
            np.testing.assert_array_equal(values, expected[name], err_msg=case)


def test_onnxruntime_gives_the_same_on_the_qdq_file() -> None:
    for case in sorted(CASES):
        with row(case):
            made = made_of(case, "modalix")
            session = onnxruntime.InferenceSession(
                fixed_onnx.to_bytes(made.fixed), providers=["CPUExecutionProvider"]
            )
            found = dict(zip(made.fixed.outputs, session.run(None, dict(made.samples[0])), strict=True))
            for name, values in exact(made.fixed, made.samples[0]).items():
                np.testing.assert_allclose(found[name], values, rtol=1e-6, atol=0)


def test_every_builder_is_covered() -> None:
    built = {node.op for build, _ in CASES.values() for node in build().nodes}
    ports = {"DequantizeLinear", "QuantizeLinear"}  # test_source_quantization
    assert set(BUILDERS) - built <= {"Gelu", "Upsample", *ports}


@pytest.mark.parametrize(
    "graph",
    [
        one_node("Conv", (1, 6, 7, 8), {"pads": [1, 1, 1, 1]}, w=normal(5, 6, 3, 3), b=normal(5)),
        one_node("Gemm", (3, 20), {"transB": 1}, w=normal(7, 20), b=normal(7)),
        two("Add", (2, 9), (2, 9)),
        two("MatMul", (2, 3, 8), (1, 8, 5)),
        one_node("GlobalAveragePool", (1, 6, 7, 8)),
    ],
)
def test_sixteen_bits_are_far_better_than_eight(graph) -> None:
    assert worst(make(graph, "kl720", {"activations": "int16", "weights": "int16"})) >= 65


def test_dead_channels_and_huge_biases_are_safe() -> None:
    weight = normal(4, 3, 1, 1)
    weight[1] = 0.0
    weight[2] = 1e-12
    bias = np.array([0.1, 0.5, -0.5, 0.0], np.float32)
    made = make(one_node("Conv", (1, 3, 4, 4), w=weight, b=bias), "kl720")
    assert worst(made) >= 25
    out = exact(made.fixed, made.samples[0])["y"]
    np.testing.assert_allclose(out[0, 1], 0.5, atol=0.05)
    np.testing.assert_allclose(out[0, 2], -0.5, atol=0.05)


def test_all_zero_weights_and_inputs_are_safe() -> None:
    graph = one_node("Conv", (1, 3, 4, 4), w=np.zeros((2, 3, 1, 1), np.float32))
    made = make(graph, "modalix", samples=[{"x": np.zeros((1, 3, 4, 4), np.float32)}])
    assert not exact(made.fixed, made.samples[0])["y"].any()


def test_activation_melts_into_its_producer() -> None:
    nodes = [
        Node("Conv", "conv", ["x", "w"], ["a"]),
        Node("Relu", "relu", ["a"], ["b"]),
        Node("Clip", "clip", ["b", "", "six"], ["y"]),
    ]
    constants = {"w": 4 * normal(3, 2, 1, 1), "six": np.array(6.0, np.float32)}
    made = make(graph_of(nodes, {"x": (1, 2, 4, 4)}, ["y"], constants))
    (operator,) = made.fixed.operators
    assert operator.kind == "conv" and operator.origin == ("conv", "relu", "clip")
    y = made.fixed.tensors["y"]
    assert operator.parameters["low"] == y.zero_point
    assert operator.parameters["high"] == min(y.zero_point + round(6 / y.scale), y.high)
    assert set(made.fixed.tensors) == {"x", "y"}


def test_activation_stays_apart_when_its_input_is_wanted() -> None:
    nodes = [Node("Conv", "conv", ["x", "w"], ["a"]), Node("Relu", "relu", ["a"], ["y"])]
    graph = graph_of(nodes, {"x": (1, 2, 4, 4)}, ["a", "y"], {"w": normal(3, 2, 1, 1)})
    made = make(graph)
    assert [operator.kind for operator in made.fixed.operators] == ["conv", "rescale"]


def test_concat_of_convolutions_rescales_nothing() -> None:
    nodes = [
        Node("Conv", "one", ["x", "w"], ["a"]),
        Node("Conv", "two", ["x", "v"], ["b"]),
        Node("Concat", "join", ["a", "b", "x"], ["y"], {"axis": 1}),
    ]
    constants = {"w": normal(3, 2, 1, 1), "v": 9 * normal(3, 2, 1, 1)}
    made = make(graph_of(nodes, {"x": (1, 2, 4, 4)}, ["y"], constants))
    concat = made.fixed.operators[-1].parameters
    assert concat["multipliers"][:2] == (1, 1) and concat["shifts"][:2] == (0, 0)
    assert concat["shifts"][2] > 0
    tensors = made.fixed.tensors
    assert tensors["a"].scale == tensors["b"].scale == tensors["y"].scale != tensors["x"].scale


def test_gate_times_its_input_is_one_table() -> None:
    nodes = [Node("Sigmoid", "gate", ["x"], ["s"]), Node("Mul", "silu", ["x", "s"], ["y"])]
    made = make(graph_of(nodes, {"x": (1, 2, 4, 4)}, ["y"]))
    assert [operator.kind for operator in made.fixed.operators] == ["table"]
    assert made.fixed.operators[0].origin == ("gate", "silu")
    assert worst(made) >= 32


SILU = [Node("Sigmoid", "gate", ["x"], ["s"]), Node("Mul", "silu", ["x", "s"], ["y"])]


@pytest.mark.parametrize(
    ("settings", "kind", "least"),
    [
        ({"activations": "int16"}, "curve", 75),
        ({"inputs": "int16"}, "curve", 32),  # the result has 8 bits
        ({"outputs": "int16"}, "table", 38),  # only the result has 16
    ],
)
def test_16_bits_before_a_function_are_kept(settings: dict[str, Any], kind: str, least: float) -> None:
    graph = graph_of(SILU, {"x": (1, 2, 40, 40)}, ["y"])
    made = make(graph, "kl720", settings)
    assert [operator.kind for operator in made.fixed.operators] == [kind]
    assert worst(made) >= least


def test_16_bits_before_a_softmax_are_kept() -> None:
    made = make(one_node("Softmax", (4, 200)), "kl720", {"activations": "int16"})
    (operator,) = made.fixed.operators
    assert operator.kind == "softmax" and operator.parameters["one"] == 32767
    assert worst(made) >= 50  # results are a 200th, of steps of 1/32767


def test_a_chip_whose_tables_take_bytes() -> None:
    """Its 16-bit tensors are rescaled before a function, and have the range that their upper 8 bits want."""
    recipe = load_recipe("kl720")
    narrow = recipe.number_format.model_copy(update={"tables_of_16_bits": False})
    graph = graph_of(SILU, {"x": (1, 2, 40, 40)}, ["y"])
    made = make(graph, recipe.model_copy(update={"number_format": narrow}), {"activations": "int16"})
    assert [operator.kind for operator in made.fixed.operators] == ["rescale", "table"]
    own = make(graph, recipe, {"activations": "int16"}).record.by_name()
    assert made.record.by_name()["x"].high < own["x"].high and own["x"].method == "wide"
    assert 32 <= worst(made) < 50


@pytest.mark.parametrize(
    ("chip", "op", "scale", "zero"),
    [
        ("kl720", "Softmax", 1 / 127, 0),
        ("modalix", "Softmax", 1 / 255, -128),
        ("kl520", "Softmax", 1 / 64, 0),
        ("kl720", "Sigmoid", 1 / 127, 0),
        ("modalix", "Sigmoid", 1 / 255, -128),
        ("modalix", "Tanh", 2 / 255, 0),
    ],
)
def test_natural_ranges(chip: str, op: str, scale: float, zero: int) -> None:
    tensor = make(one_node(op, (2, 9)), chip).fixed.tensors["y"]
    assert tensor.scale == scale
    assert abs(tensor.zero_point - zero) <= (op == "Tanh")


@pytest.mark.parametrize(
    ("chip", "shift", "range_method", "scale"),
    [
        ("kl520", 0.0, "output_error", 1 / 128),  # 1 is cut to 127/128, half of the other step
        ("kl520", 0.0, "minmax", 1 / 64),
        ("kl720", -3.0, "output_error", None),
        ("modalix", -3.0, "output_error", None),
        ("modalix", -3.0, "minmax", 1 / 255),
    ],
)
def test_the_used_part_of_a_natural_range(
    chip: str, shift: float, range_method: str, scale: float | None
) -> None:
    graph = one_node("Sigmoid", (2, 300))
    samples = [{"x": sample["x"] + np.float32(shift)} for sample in samples_of(graph, 12)]
    tensor = make(graph, chip, {"range": {"method": range_method}}, samples).fixed.tensors["y"]
    seen = max(float((1 / (1 + np.exp(-sample["x"]))).max()) for sample in samples)
    if scale is None:
        top = (127 - tensor.zero_point) * tensor.scale
        assert seen <= top + tensor.scale and tensor.scale < 0.95 / (127 - tensor.zero_point)
    else:
        assert tensor.scale == scale


def test_units_follow_the_nodes() -> None:
    nodes = [Node("Relu", "first", ["x"], ["a"]), Node("Tanh", "second", ["a"], ["y"])]
    graph = graph_of(nodes, {"x": (2, 9)}, ["y"])
    made = make(graph, units={"first": "fused", "second": "cpu"})
    assert [operator.unit for operator in made.fixed.operators] == ["npu", "cpu"]
    assert [operator.fused for operator in made.fixed.operators] == [True, False]


def test_what_melts_into_a_node_of_the_npu_is_that_node() -> None:
    nodes = [Node("Conv", "conv", ["x", "w"], ["a"]), Node("Relu", "relu", ["a"], ["b"])]
    nodes.append(Node("LeakyRelu", "leaky", ["b"], ["y"]))
    graph = graph_of(nodes, {"x": (1, 2, 3, 3)}, ["y"], {"w": normal(4, 2, 1, 1)})
    made = make(graph, units={"conv": "npu", "relu": "fused", "leaky": "fused"})
    found = [(operator.kind, operator.unit, operator.fused) for operator in made.fixed.operators]
    assert found == [("conv", "npu", False), ("table", "npu", True)]


@pytest.mark.parametrize(
    ("graph", "text"),
    [
        (one_node("Det", (1, 3, 3)), "there is no rule for this operator"),
        (two("Div", (2, 9), (2, 9)), "only divide by a constant"),
        (two("Conv", (1, 2, 4, 4), (3, 2, 1, 1)), "must be constants"),
        (one_node("Resize", (1, 2, 4, 4), {"mode": "cubic"}, r=np.zeros(0, np.float32),
                  s=np.array([1, 1, 2, 2], np.float32)), "no fixed-point form"),
    ],
)  # fmt: skip
def test_what_has_no_form_is_refused_by_name(graph, text: str) -> None:
    with pytest.raises(ModelbuildError, match=text) as caught:
        make(graph)
    assert caught.value.exit_code == 1
    assert "'node'" in str(caught.value)


def test_integer_tensors_are_refused_by_name() -> None:
    with pytest.raises(ModelbuildError, match="'y' holds int64"):
        make(one_node("ArgMax", (2, 9)))


def test_overflowing_sums_are_refused() -> None:
    graph = one_node("Gemm", (1, 70000), {"transB": 1}, w=np.ones((1, 70000), np.float32))
    samples = [{"x": np.linspace(0, 1, 70000, dtype=np.float32)[None]}]
    with pytest.raises(ModelbuildError, match="accumulator may reach"):
        make(graph, "modalix", samples=samples)


def test_the_record_decides() -> None:
    """An edited scale is used; a record of another chip, or without a line, is refused."""
    made = make(one_node("Relu", (2, 9)), "modalix")
    recipe = load_recipe("modalix")
    units = {"node": "npu"}
    lines = [
        dataclasses.replace(line, scale=0.5, zero_point=3) if line.name == "y" else line
        for line in made.record.tensors
    ]
    edited = apply(made.graph, units, dataclasses.replace(made.record, tensors=tuple(lines)), recipe)
    assert (edited.tensors["y"].scale, edited.tensors["y"].zero_point) == (0.5, 3)
    with pytest.raises(ModelbuildError, match="no line for the tensor 'y'"):
        apply(made.graph, units, dataclasses.replace(made.record, tensors=tuple(lines[:1])), recipe)
    with pytest.raises(ModelbuildError, match="kl720 needs"):
        apply(made.graph, units, made.record, load_recipe("kl720"))


def test_lines_that_must_agree_are_checked() -> None:
    made = make(one_node("Flatten", (1, 3, 4)), "modalix")
    lines = [
        dataclasses.replace(line, scale=0.5) if line.name == "y" else line for line in made.record.tensors
    ]
    with pytest.raises(ModelbuildError, match="must have one type, scale"):
        record = dataclasses.replace(made.record, tensors=tuple(lines))
        apply(made.graph, {}, record, load_recipe("modalix"))


def test_the_same_record_gives_the_same_bytes() -> None:
    graph = one_node("Conv", (1, 6, 7, 8), w=normal(5, 6, 3, 3), b=normal(5))
    made = make(graph, "kl720", samples=samples_of(graph, 2))
    again = apply(graph, {"node": "npu"}, made.record, load_recipe("kl720"))
    assert fixed_onnx.to_bytes(again) == fixed_onnx.to_bytes(made.fixed)
