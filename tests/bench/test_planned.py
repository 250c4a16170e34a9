"""Counts of plans: of one by hand, and that rates that are fitted change no plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper, save

from bench.counts import ARRAY, KINDS, Constants, Counts
from bench.planned import counted
from bench.zoo import loaded, outlined
from modelbuild.chips.load import load_recipe
from modelbuild.chips.recipe import Recipe
from modelbuild.graph.model import Graph
from modelbuild.npu.compiler import compile_model
from modelbuild.npu.rates import rates

Shape = tuple[int, ...]


def graph(tmp_path: Path, nodes: list[object], weights: Mapping[str, Shape], size: int = 16) -> Graph:
    """x [1, 8, size, size] -> y, with weights that differ."""
    rng = np.random.default_rng(1)
    constants = [
        numpy_helper.from_array(rng.normal(size=shape).astype(np.float32), name)
        for name, shape in weights.items()
    ]
    port = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 8, size, size])
    made = helper.make_graph(nodes, "small", [port], [helper.make_empty_tensor_value_info("y")], constants)
    file = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    save(file, tmp_path / "small.onnx")
    return loaded(tmp_path / "small.onnx")


def conv(x: str, w: str, y: str, **attributes: object) -> object:
    return helper.make_node("Conv", [x, w], [y], **attributes)


def totals(counts: Counts) -> dict[str, float]:
    return {kind: counts.total(kind) for kind in KINDS if counts.total(kind)}


def with_facts(recipe: Recipe, **values: float) -> Recipe:
    facts = {
        name: getattr(recipe.hardware, name).model_copy(update={"value": v}) for name, v in values.items()
    }
    return recipe.model_copy(update={"hardware": recipe.hardware.model_copy(update=facts)})


def test_two_convolutions_by_hand(tmp_path: Path) -> None:
    nodes = [conv("x", "w", "t", pads=[1, 1, 1, 1]), conv("t", "v", "y")]
    made = graph(tmp_path, nodes, {"w": (20, 8, 3, 3), "v": (4, 20, 1, 1)})
    counts, cpu = counted(made, load_recipe("kl720"))
    assert totals(counts) == {
        "window": 16 * 16 * 9 * 8 * 20,
        "pointwise": 16 * 16 * 20 * 4,
        "read": 8 * 256,  # what is in between stays on the chip
        "write": 4 * 256,
        "weights": 20 * (8 * 9 + 9) + 4 * (20 + 9),  # and a record of 9 bytes a channel
    }
    assert counts.groups == 2 and cpu == ()
    assert counts.outputs @ counts.repeats == 256 * 24


def test_the_chips_format_is_counted(tmp_path: Path) -> None:
    """16 columns, 16 output channels, windows of 3x3, 4 input channels; rows of 16 bytes."""
    made = graph(tmp_path, [conv("x", "w", "y")], {"w": (20, 8, 1, 3)}, size=20)
    counts, _ = counted(made, load_recipe("kl520"))
    assert totals(counts) == {
        "window": 20 * 32 * 9 * 8 * 32,
        "read": 8 * 20 * 32,
        "write": 20 * 20 * 32,
        "weights": 20 * (8 * 3 + 9),
    }


def test_tails_and_pools_count_cells(tmp_path: Path) -> None:
    nodes = [
        conv("x", "w", "a", pads=[1, 1, 1, 1], group=8),
        helper.make_node("Sigmoid", ["a"], ["b"]),
        helper.make_node("MaxPool", ["b"], ["y"], kernel_shape=[2, 2], strides=[2, 2]),
    ]
    counts, _ = counted(graph(tmp_path, nodes, {"w": (8, 1, 3, 3)}), load_recipe("kl720"))
    found = totals(counts)
    assert found["depthwise"] == 256 * 9 * 8 and found["elements"] == 8 * 256 + 8 * 256
    assert (found["read"], found["write"], counts.groups) == (8 * 256, 8 * 64, 1)


def test_what_the_cpu_runs_is_named_and_costs_the_npu_nothing(tmp_path: Path) -> None:
    nodes = [conv("x", "w", "a"), helper.make_node("Tan", ["a"], ["y"])]
    counts, cpu = counted(graph(tmp_path, nodes, {"w": (8, 8, 1, 1)}), load_recipe("kl720"))
    assert cpu == ("Tan",) and counts.groups == 1
    assert set(totals(counts)) == {"pointwise", "read", "write", "weights"}


@pytest.mark.parametrize("chip", ["kl520", "kl730"])
def test_no_plan_depends_on_what_is_fitted(tmp_path: Path, chip: str) -> None:
    nodes = [conv("x", "w", "t"), helper.make_node("Sigmoid", ["t"], ["s"]), conv("s", "v", "y")]
    made = graph(tmp_path, nodes, {"w": (64, 8, 3, 3), "v": (96, 64, 3, 3)}, size=60)
    recipe = load_recipe(chip)
    changed = {
        name: 3.7 * fact.value
        for name, fact in recipe.hardware
        if fact is not None and fact.source.startswith("bench/fit_chips.py")
    }
    before, after = (counted(made, one)[0] for one in (recipe, with_facts(recipe, **changed)))
    assert len(changed) >= 2 and before.groups == after.groups
    for name in ("kind", "work", "outputs", "repeats"):
        assert np.array_equal(getattr(before, name), getattr(after, name))


def test_less_memory_moves_more(tmp_path: Path) -> None:
    nodes = [conv("x", "w", "t"), conv("t", "v", "y")]
    made = graph(tmp_path, nodes, {"w": (64, 8, 3, 3), "v": (96, 64, 3, 3)}, size=60)
    recipe = load_recipe("kl730")
    large, small = (counted(made, one)[0] for one in (recipe, with_facts(recipe, sram_bytes=100_000)))
    assert small.total("read", "write", "weights") > 2 * large.total("read", "write", "weights")
    assert small.total(*ARRAY) >= large.total(*ARRAY)


@pytest.mark.parametrize("chip", ["kl520", "kl730"])
def test_the_counts_are_those_of_the_compiler(tmp_path: Path, chip: str) -> None:
    """Every kind of work, cut into bands: the cycles that are fitted are those that a program takes."""
    nodes = [
        conv("x", "w", "a", pads=[1, 1, 1, 1]),
        helper.make_node("LeakyRelu", ["a"], ["b"]),
        conv("b", "d", "c", pads=[1, 1, 1, 1], group=48),
        helper.make_node("Tanh", ["c"], ["t"]) if chip == "kl730" else conv("c", "p", "t"),
        helper.make_node("MaxPool", ["t"], ["m"], kernel_shape=[2, 2], strides=[2, 2]),
        conv("m", "p", "n"),
        helper.make_node("Add", ["m", "n"], ["s"]),
        helper.make_node("Concat", ["s", "n"], ["k"], axis=1),
        conv("k", "v", "y", pads=[0, 1, 0, 1]),
    ]
    weights = {"w": (48, 8, 3, 3), "d": (48, 1, 3, 3), "p": (48, 48, 1, 1), "v": (200, 96, 1, 3)}
    made, recipe = graph(tmp_path, nodes, weights, size=90), load_recipe(chip)
    counts, _ = counted(made, recipe)
    model, _ = outlined(made, recipe)
    found = compile_model(model, recipe, {}, bytes_wanted=False)
    assert counts.groups == len(found.groups)
    cycles = counts.cycles(Constants.of(rates(recipe.hardware)), whole=True)
    assert cycles == pytest.approx(found.cycles, rel=1e-4)


def test_counts_are_replaced_not_changed(tmp_path: Path) -> None:
    counts, _ = counted(graph(tmp_path, [conv("x", "w", "y")], {"w": (8, 8, 1, 1)}), load_recipe("kl720"))
    assert replace(counts, groups=7).groups == 7 and counts.groups == 1
