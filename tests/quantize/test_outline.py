"""The outline of a model is the quantized model but for its numbers."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from modelbuild import importers
from modelbuild.arithmetic.fixed_model import FixedModel, FixedOperator
from modelbuild.chips.load import load_recipe
from modelbuild.errors import ModelbuildError
from modelbuild.graph.check import place
from modelbuild.graph.model import Graph, Node
from modelbuild.graph.normalise import normalise
from modelbuild.graph.passes import run_passes
from modelbuild.quantize.apply import apply
from modelbuild.quantize.observe import observe
from modelbuild.quantize.outline import OPAQUE, outline
from modelbuild.quantize.quantize import quantize
from modelbuild.quantize.settings import Settings
from tests.graph.random_models import random_model
from tests.pairs import by_column, few, spread
from tests.quantize.cases import CASES, graph_of, longs, make, normal, one_node, two
from tests.rows import row

CHIPS = ("kl520", "kl720", "modalix")
# What observed numbers decide. Everything else of an operator is the same in both.
NUMBERS = {
    *("input_zero", "other_zero", "input_zeros", "output_zero", "low", "high", "value", "one", "input_low"),
    *("multiplier", "shift", "multipliers", "shifts", "input_multiplier", "other_multiplier"),
    *("start", "segment_bits"),
}
# Splitting channels is a choice that observed numbers make; the range method decides nothing of a shape.
QUICK: dict[str, Any] = {"split": False, "range": {"method": "minmax"}}
SHAPES: dict[str, dict[str, tuple[int, ...]]] = {
    "mlperf_resnet8": {"input_1": (1, 3, 32, 32)},
    "mobilenetv2": {},
    "nanodet_m_416": {},
    "ppocr_cls_v2": {"x": (1, 3, 48, 192)},
    "squeezenet1.1": {},
    "tf2_mobilenet_v2_int8_qdq": {},
    "ultraface_rfb_320": {},
    "yunet_n_320": {},
}


def form(model: FixedModel, operator: FixedOperator) -> tuple[Any, ...]:
    """Of an operator all but the numbers."""
    tensors = [[model.tensors[name] for name in names] for names in (operator.inputs, operator.outputs)]
    constants = {role: model.constants[name] for role, name in operator.constants.items()}
    segments = operator.kind == "curve"  # how many there are depends on the numbers
    return (
        operator.kind,
        operator.name,
        operator.unit,
        operator.fused,
        operator.origin,
        [[(each.name, each.shape, each.bits, each.signed) for each in side] for side in tensors],
        [name in model.constants for name in operator.inputs],
        dict(operator.constants),
        {name: value for name, value in operator.parameters.items() if name not in NUMBERS},
        {role: (() if segments else each.shape, each.dtype) for role, each in constants.items()},
    )


def assert_alike(made: FixedModel, applied: FixedModel) -> None:
    found, expected = ([form(model, each) for each in model.operators] for model in (made, applied))
    assert found == expected
    assert (made.inputs, made.outputs, made.chip) == (applied.inputs, applied.outputs, applied.chip)
    assert set(made.tensors) == set(applied.tensors) and set(made.constants) == set(applied.constants)


def everywhere(graph: Graph, unit: str = "npu") -> dict[str, str]:
    return {node.name: unit for node in graph.nodes}


def of(graph: Graph, chip: str = "kl720", settings: dict[str, Any] | None = None) -> FixedModel:
    return outline(graph, everywhere(graph), load_recipe(chip), Settings.read(settings or {}))


@lru_cache(maxsize=1)  # the tests of one model come one after another
def normalised(shared_data: Path, name: str) -> Graph:
    return normalise(importers.load(shared_data / f"models/onnx/{name}.onnx", SHAPES[name]))[0]


@pytest.mark.parametrize(("name", "chip"), spread(SHAPES, CHIPS))
def test_real_models(shared_data: Path, name: str, chip: str) -> None:
    recipe = load_recipe(chip)
    graph, _ = run_passes(normalised(shared_data, name), recipe.passes)
    units, settings = place(graph, recipe).units, Settings.read(QUICK)
    rng = np.random.default_rng(0)
    sample = {
        name: (40 * rng.standard_normal(graph.shapes[name])).astype(graph.dtypes[name])
        for name in graph.inputs
    }
    record = quantize(graph, observe(graph, [sample]), settings, recipe.number_format)
    assert_alike(outline(graph, units, recipe, settings), apply(graph, units, record, recipe))


@pytest.mark.parametrize(("chip", "cases"), by_column(CASES, CHIPS))
def test_every_operator(chip: str, cases: list[str]) -> None:
    for case in cases:
        with row(case):
            graph = CASES[case][0]()
            assert_alike(of(graph, chip, QUICK), make(graph, chip, QUICK).fixed)


@pytest.mark.parametrize("case", ["conv", "sigmoid", "softmax", "add", "matmul", "average_pool"])
def test_sixteen_bits(case: str) -> None:
    wide, graph = {"activations": "int16", "weights": "int16", **QUICK}, CASES[case][0]()
    for chip in ("kl530", "kl720", "modalix"):
        assert_alike(of(graph, chip, wide), make(graph, chip, wide).fixed)


def test_formats_by_name() -> None:
    nodes = [Node("Conv", "first", ["x", "w"], ["a"]), Node("Conv", "second", ["a", "v"], ["y"])]
    graph = graph_of(
        nodes, {"x": (1, 3, 4, 4)}, ["y"], {"w": normal(4, 3, 1, 1), "v": normal(5, 4, 1, 1, seed=2)}
    )
    given = {**QUICK, "nodes": {"first": {"activations": "int16", "weights": "int16"}}}
    made = of(graph, "kl720", given)
    assert_alike(made, make(graph, "kl720", given).fixed)
    assert [made.tensors[name].bits for name in "xay"] == [8, 16, 8]
    assert made.constants[made.operators[0].constants["weight"]].dtype == np.int16
    assert made.constants[made.operators[1].constants["bias"]].dtype == np.int64
    with pytest.raises(ModelbuildError, match="int16"):
        of(graph, "kl520", {"activations": "int16"})


def test_numbers_stand_for_nothing_and_take_no_memory() -> None:
    made = of(CASES["conv"][0]())
    assert {(each.scale, each.zero_point) for each in made.tensors.values()} == {(1.0, 0)}
    assert all(not any(each.strides) and not each.any() for each in made.constants.values())


def test_weights_are_not_read() -> None:
    """Those of a terabyte, and numbers that `apply` would refuse."""
    huge = np.broadcast_to(np.float32(np.nan), (1 << 20, 1 << 20))
    for graph in (
        one_node("Gemm", (1, 1 << 20), {"alpha": 0.5}, w=huge),
        one_node("MatMul", (1, 1 << 20), w=huge),
        one_node("Conv", (1, 1 << 20, 1, 1), w=huge.reshape(1 << 20, 1 << 20, 1, 1)),
        one_node("ConvTranspose", (1, 1 << 20, 1, 1), w=huge.reshape(1 << 20, 1 << 20, 1, 1)),
    ):
        (operator,) = of(graph).operators
        assert operator.kind in ("gemm", "conv")


def test_a_concat_rescales_what_has_a_scale_of_its_own() -> None:
    """What several nodes read cannot take the concat's scale; where none can, one has the concat's."""
    nodes = [
        Node("Relu", "shared", ["x"], ["a"]),
        Node("Sigmoid", "alone", ["x"], ["b"]),
        Node("Concat", "own", ["a", "b"], ["c"], {"axis": 1}),
        Node("MaxPool", "pool", ["a"], ["d"], {"kernel_shape": [1, 1]}),
        Node("Concat", "none", ["a", "x"], ["e"], {"axis": 1}),
        Node("Concat", "alike", ["a", "d"], ["f"], {"axis": 1}),
    ]
    made = of(graph_of(nodes, {"x": (1, 2, 4, 4)}, ["c", "e", "f"]))
    same = {
        each.name: [shift == 0 for shift in each.parameters["shifts"]]  # type: ignore[union-attr]
        for each in made.operators
        if each.kind == "concat"
    }
    assert same == {"own": [False, True], "none": [True, False], "alike": [True, True]}


def test_what_has_no_fixed_form_is_opaque() -> None:
    nodes = [
        Node("Relu", "before", ["x"], ["a"]),
        Node("Resize", "odd", ["a", "", "s"], ["b"], {"mode": "cubic"}),
        Node("Neg", "after", ["b"], ["y"]),
    ]
    made = of(graph_of(nodes, {"x": (1, 2, 4, 4)}, ["y"], {"s": np.array([1, 1, 2, 2], np.float32)}))
    odd = made.operators[1]
    assert [each.kind for each in made.operators] == ["rescale", OPAQUE, "table"]
    assert (odd.unit, odd.inputs, odd.outputs, odd.origin) == ("cpu", ("a",), ("b",), ("odd",))
    assert odd.parameters["operator"] == "Resize" and "cubic" in str(odd.parameters["reason"])
    assert made.tensors["b"].shape == (1, 2, 8, 8)


def test_a_builder_that_gives_up_half_way_leaves_nothing() -> None:
    """One axis is built by way of two; that its windows are dilated is seen after the first step."""
    attributes = {"kernel_shape": [2], "dilations": [2]}
    graph = one_node("MaxPool", (1, 3, 9), {"kernel_shape": [2]})
    graph.nodes[0] = Node("AveragePool", "node", ["x"], ["y"], dict(attributes))
    made = of(graph)
    assert [each.kind for each in made.operators] == [OPAQUE] and set(made.tensors) == {"x", "y"}


def test_nodes_that_nothing_runs_are_opaque_and_alone() -> None:
    graph = graph_of(
        [Node("Conv", "conv", ["x", "w"], ["a"]), Node("Relu", "relu", ["a"], ["y"])],
        {"x": (1, 2, 4, 4)},
        ["y"],
        {"w": normal(3, 2, 1, 1)},
    )
    made = outline(graph, {"conv": "npu", "relu": "none"}, load_recipe("kl720"))
    assert [(each.kind, each.unit, each.origin) for each in made.operators] == [
        ("conv", "npu", ("conv",)),
        (OPAQUE, "cpu", ("relu",)),
    ]


def test_integers_and_booleans_are_no_obstacle() -> None:
    nodes = [
        Node("ArgMax", "argmax", ["x"], ["i"], {"axis": 1}),
        Node("Cast", "cast", ["i"], ["f"], {"to": 1}),
        Node("Greater", "greater", ["x", "x"], ["b"]),
        Node("Add", "add", ["f", "f"], ["y"]),
    ]
    made = of(graph_of(nodes, {"x": (1, 4, 3)}, ["y", "b"]))
    assert [each.kind for each in made.operators] == [OPAQUE, OPAQUE, OPAQUE, "add"]
    assert [(made.tensors[name].bits, made.tensors[name].signed) for name in "ib"] == [(16, True), (8, False)]


def test_units_follow_the_nodes() -> None:
    graph = two("Add", (1, 2, 3, 3), (1, 2, 3, 3))
    made = outline(graph, everywhere(graph, "cpu"), load_recipe("kl720"))
    assert [each.unit for each in made.operators] == ["cpu"]


def test_a_gather_by_computed_indices_is_opaque() -> None:
    nodes = [Node("ArgMax", "pick", ["x"], ["i"], {"axis": 0}), Node("Gather", "take", ["z", "i"], ["y"])]
    made = of(graph_of(nodes, {"x": (3, 4), "z": (5, 6)}, ["y"], {"unused": longs(1)}))
    assert [each.kind for each in made.operators] == [OPAQUE, OPAQUE]
    assert made.operators[1].inputs == ("z", "i")


@pytest.mark.parametrize("seed", few(range(60), 20))
def test_random_models_have_an_outline(seed: int, tmp_path: Path) -> None:
    """Whatever a model holds, evaluating it is not refused here."""
    (tmp_path / "model.onnx").write_bytes(random_model(Random(seed)).SerializeToString())
    try:
        graph, _ = normalise(importers.load(tmp_path / "model.onnx"))
    except ModelbuildError:
        return  # no model to begin with
    for chip in CHIPS:
        recipe = load_recipe(chip)
        lowered, _ = run_passes(graph, recipe.passes)
        made = outline(lowered, place(lowered, recipe).units, recipe)
        covered = {name for each in made.operators for name in each.origin}
        assert covered == {node.name for node in lowered.nodes}
        known = set(made.inputs) | set(made.constants)
        for each in made.operators:
            assert known.issuperset(each.inputs)
            known.update(each.outputs)
