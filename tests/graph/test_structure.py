"""Networks whose weights are all one value: they are known as such, and nothing of them is merged."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelbuild import importers
from modelbuild.chips.load import load_recipe
from modelbuild.graph import onnx_io
from modelbuild.graph.check import place
from modelbuild.graph.model import Graph
from modelbuild.graph.normalise import normalise
from modelbuild.graph.passes import run_passes
from modelbuild.graph.structure import is_noted, is_structure_only
from modelbuild.project.predicting import evaluate_file
from tests.graph.small import graph, numbers, ops

SHAPE = (2, 2, 3, 3)
PADS = {"pads": [1, 1, 1, 1], "kernel_shape": [3, 3]}
BRANCHES = [("Conv", "x w", "a", PADS), ("Conv", "x v", "b", PADS), ("Add", "a b", "y")]


def filled(value: float, shape: tuple[int, ...] = SHAPE) -> Any:
    return np.full(shape, value, np.float32)


def branches(**weights: Any) -> Graph:
    """Two convolutions of one input, added."""
    return graph(BRANCHES, weights)


def made(value: float = 1.0) -> Graph:
    """The same, with weights that ConstantOfShape makes."""
    attribute = {"value": np.array([value], np.float32)}
    steps = [("ConstantOfShape", "s", "w", attribute), ("ConstantOfShape", "s", "v", attribute), *BRANCHES]
    return graph(steps, {"s": np.array(SHAPE)})


def test_each_weight_is_one_value() -> None:
    assert is_structure_only(branches(w=filled(0.5), v=filled(0.5)))
    assert is_structure_only(branches(w=filled(0.5), v=filled(-2)))
    assert is_structure_only(made())
    inner = filled(0.5)
    inner[1, 0, 1, 1] = 0.25  # neither the first value nor the last
    assert not is_structure_only(branches(w=filled(0.5), v=inner))
    assert not is_structure_only(branches(w=numbers(*SHAPE), v=filled(0.5)))
    assert not is_structure_only(branches(w=filled(np.nan), v=filled(np.nan)))


def test_two_weights_of_more_than_one_value_must_say_so() -> None:
    assert not is_structure_only(graph([("Conv", "x w", "y", PADS)], {"w": filled(0.5)}))
    shared = [("Conv", "x w", "a", PADS), ("Conv", "a w", "y", PADS)]
    assert not is_structure_only(graph(shared, {"w": filled(0.5)}))
    scalars = [("Conv", "x w", "a"), ("Conv", "a v", "y")]
    assert not is_structure_only(
        graph(scalars, {"w": filled(1, (1, 1, 1, 1)), "v": filled(2, (1, 1, 1, 1))}, x=(1, 1, 4, 4))
    )
    other = [("Add", "x w", "a"), ("Add", "a v", "y")]  # no weights
    assert not is_structure_only(graph(other, {"w": filled(1, (4, 4)), "v": filled(1, (4, 4))}))


@pytest.mark.parametrize(
    "steps",
    [
        [("MatMul", "x w", "a"), ("MatMul", "v a", "y")],
        [("Gemm", "x w", "a"), ("Gemm", "a v", "y")],
        [("MatMul", "x w", "a"), ("MatMul", "a b", "c"), ("MatMul", "c v", "y")],
    ],
)
def test_of_matrix_products_either_factor(steps: list[Any]) -> None:
    weights = {name: filled(3, (4, 4)) for name in ("w", "v", "b")}
    found = {name: value for name, value in weights.items() if any(name in step[1] for step in steps)}
    assert is_structure_only(graph(steps, found, x=(4, 4)))
    assert not is_structure_only(graph(steps, {**found, "v": numbers(4, 4)}, x=(4, 4)))


def test_deconvolutions_count() -> None:
    steps = [("ConvTranspose", "x w", "a"), ("ConvTranspose", "a v", "y")]
    assert is_structure_only(graph(steps, {"w": filled(1), "v": filled(1)}))


def test_branches_that_look_alike_stay_apart() -> None:
    for source in (made(), branches(w=filled(0.5), v=filled(0.5))):
        result, rows = normalise(source)
        assert ops(result) == ["Conv", "Conv", "Add"]
        assert "merge_duplicates" not in [row.name for row in rows]
        again, _ = normalise(result)
        assert ops(again) == ["Conv", "Conv", "Add"]
        merged, _ = normalise(source, only=["merge_duplicates"])
        assert ops(merged) == ["Conv", "Add"]


def test_check_says_so_of_what_is_lowered() -> None:
    recipe = load_recipe("kl720")
    for source, codes in ((made(), ["MB113"]), (branches(w=numbers(*SHAPE), v=filled(1)), [])):
        lowered, _ = run_passes(normalise(source)[0], recipe.passes)
        found = [finding for finding in place(lowered, recipe).findings if finding.code == "MB113"]
        assert [finding.code for finding in found] == codes
        assert all(finding.severity == "warning" and not finding.node for finding in found)


def test_what_was_noted_of_other_weights_is_forgotten(tmp_path: Path) -> None:
    noted, _ = normalise(made())
    onnx_io.write(noted, tmp_path / "noted.onnx")
    read = onnx_io.read(tmp_path / "noted.onnx")
    assert is_noted(read)
    (weights, *_) = (node.inputs[1] for node in read.nodes if node.op == "Conv")
    read.constants[weights] = numbers(*SHAPE)
    assert not is_noted(normalise(read)[0])


def test_of_a_real_model_they_are_one() -> None:
    weights = numbers(*SHAPE)
    result, _ = normalise(branches(w=weights, v=weights.copy()))
    assert ops(result) == ["Conv", "Add"]


def test_a_file_is_evaluated_with_all_branches(tmp_path: Path) -> None:
    macs = {}
    for name, found in (("alike", made()), ("real", branches(w=numbers(*SHAPE), v=numbers(*SHAPE)))):
        onnx_io.export(found, tmp_path / f"{name}.onnx")
        macs[name] = evaluate_file(tmp_path / f"{name}.onnx", "kl720", {}, None)["macs"]
    assert macs == {"alike": 2 * 16 * 36, "real": 16 * 36}


def _zoo(shared_data: Path) -> dict[str, float]:
    with (shared_data / "zoo/zoo.csv").open(encoding="utf-8") as stream:
        return {row["name"]: float(row["gmac"]) for row in csv.DictReader(stream)}


@pytest.mark.parametrize("name", ["mobilenet_v2", "tiny_yolov3", "yolov5s", "yolov5s_focus", "unet"])
def test_products_of_published_structures(shared_data: Path, name: str) -> None:
    path = shared_data / f"zoo/{name}.onnx"
    assert is_structure_only(importers.load(path))
    found = evaluate_file(path, "kl720", {}, None)
    own = found["macs"] - sum(layer["macs_added"] for layer in found["layers"])
    assert round(own / 1e9, 5) == _zoo(shared_data)[name]
