"""Accuracy against labels: how much is lost on the way to integers, and with which sign."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelbuild.errors import ModelbuildError
from modelbuild.graph import onnx_io
from modelbuild.graph.model import Node
from modelbuild.graph.session import FloatSession
from modelbuild.quantize import fixed_onnx
from modelbuild.stages import gate, verify_fixed
from tests.quantize.cases import graph_of, make, normal, samples_of

CLASSES, SAMPLES = 8, 12


@dataclass(frozen=True)
class Pair:
    """A float model, and an integer one whose classes are all one place further on: it is never right where
    the float model is."""

    inputs: dict[str, Path]
    ranked: list[list[int]]  # for each sample the float model's classes, the likeliest first

    def labels(self, rank: int, shift: int = 0) -> list[int]:
        """Labels that the float model (shift 0) or the integer one (shift 1) has at that rank."""
        return [(order[rank] + shift) % CLASSES for order in self.ranked]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    folder = tmp_path_factory.mktemp("pair")
    graph = graph_of([Node("Gemm", "head", ["x", "w"], ["y"])], {"x": (1, 6)}, ["y"], {"w": normal(6, 8)})
    samples = samples_of(graph, SAMPLES, spread=2.0)
    made = make(graph, "modalix", {"activations": "int16"}, samples)
    (head,) = made.fixed.operators
    turned = {
        name: np.roll(value, 1, axis=0) if value.shape[:1] == (CLASSES,) else value
        for name, value in made.fixed.constants.items()
    }
    assert turned[head.constants["weight"]].shape[0] == CLASSES
    onnx_io.write(graph, folder / "float.onnx")
    fixed_onnx.write(replace(made.fixed, constants=turned), folder / "fixed.onnx")
    inputs = {"float": folder / "float.onnx", "fixed": folder / "fixed.onnx"}
    session, ranked = FloatSession(graph), []
    for index, sample in enumerate(samples):
        inputs[f"sample/{index:06d}/x"] = folder / f"{index}.npy"
        np.save(folder / f"{index}.npy", sample["x"])
        ranked.append([int(k) for k in np.argsort(-session.run(sample)["y"].reshape(-1))])
    return Pair(inputs, ranked)


def measured(pair: Pair, out: Path, labels: Sequence[int] | None) -> dict[str, Any]:
    parameters = {
        "preprocess": {},
        "samples": SAMPLES,
        "labels": labels,
        "evaluation": "street",
        "optimistic": False,
    }
    verify_fixed.run(pair.inputs, parameters, out)
    found: dict[str, Any] = json.loads((out / "fixed.json").read_bytes())
    return found


def judged(out: Path, accept: dict[str, float]) -> None:
    """Raises where the measurements in `out` break the bounds."""
    (out / "hardware.json").write_text('{"equal": true}', encoding="utf-8")
    (out / "package.json").write_text("{}", encoding="utf-8")
    inputs = {f"measured/net/{name}": out / f"{name}.json" for name in ("fixed", "hardware")}
    inputs["package"] = out / "package.json"
    gate.run(inputs, {"accept": {"net": accept}, "removed": [], "has_int16": True, "target": "cam"}, out)


def shares(labels: Sequence[int], ranked: Sequence[Sequence[int]]) -> dict[str, float]:
    """Top-1 and top-5 from sorted classes."""
    return {
        f"top{k}": sum(label in order[:k] for label, order in zip(labels, ranked, strict=True)) / len(labels)
        for k in (1, 5)
    }


def test_a_loss_is_positive(pair: Pair, tmp_path: Path) -> None:
    labels = pair.labels(0)
    accuracy = measured(pair, tmp_path, labels)["accuracy"]
    turned = [[(k + 1) % CLASSES for k in order] for order in pair.ranked]
    assert accuracy["labelled"] == SAMPLES
    assert accuracy["float"] == {"top1": 1.0, "top5": 1.0} == shares(labels, pair.ranked)
    assert accuracy["fixed"] == shares(labels, turned) and accuracy["fixed"]["top1"] == 0.0
    assert 0.0 < accuracy["fixed"]["top5"] < 1.0
    assert accuracy["drop"]["top1"] == 1.0
    assert accuracy["drop"]["top5"] == pytest.approx(1.0 - accuracy["fixed"]["top5"])
    for key in ("top1", "top5"):
        drop = accuracy["drop"][key]
        judged(tmp_path, {f"{key}_drop": drop})
        with pytest.raises(ModelbuildError, match=f"gate: {key}_drop is") as caught:
            judged(tmp_path, {f"{key}_drop": drop - 0.01})
        assert caught.value.exit_code == 1


def test_a_gain_is_negative_and_passes(pair: Pair, tmp_path: Path) -> None:
    labels = pair.labels(0, shift=1)
    accuracy = measured(pair, tmp_path, labels)["accuracy"]
    assert accuracy["fixed"] == {"top1": 1.0, "top5": 1.0}
    assert accuracy["float"] == shares(labels, pair.ranked) and accuracy["float"]["top1"] == 0.0
    assert accuracy["drop"]["top1"] == -1.0 and accuracy["drop"]["top5"] < 0.0
    judged(tmp_path, {"top1_drop": 0.0, "top5_drop": 0.0})


def test_the_accuracy_that_is_judged_is_the_integer_models(pair: Pair, tmp_path: Path) -> None:
    assert measured(pair, tmp_path, pair.labels(0))["accuracy"]["float"]["top1"] == 1.0
    with pytest.raises(ModelbuildError, match=r"top1 is 0 \(float: 1\), the bound is at least 0.5"):
        judged(tmp_path, {"top1": 0.5})


@pytest.mark.parametrize(
    ("rank", "top1", "top5"), [(0, 1.0, 1.0), (1, 0.0, 1.0), (4, 0.0, 1.0), (5, 0.0, 0.0)]
)
def test_the_five_likeliest_count(pair: Pair, tmp_path: Path, rank: int, top1: float, top5: float) -> None:
    accuracy = measured(pair, tmp_path, pair.labels(rank))["accuracy"]
    assert accuracy["float"] == {"top1": top1, "top5": top5}
    accuracy = measured(pair, tmp_path, pair.labels(rank, shift=1))["accuracy"]
    assert accuracy["fixed"] == {"top1": top1, "top5": top5}


def test_without_labels_nothing_is_said_of_accuracy(pair: Pair, tmp_path: Path) -> None:
    found = measured(pair, tmp_path, None)
    assert found["accuracy"] is None and found["samples"] == SAMPLES
    assert (found["evaluation"], found["optimistic"]) == ("street", False)
    with pytest.raises(ModelbuildError, match="top1_drop is not available"):
        judged(tmp_path, {"top1_drop": 1.0})
