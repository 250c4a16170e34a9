"""What evaluate predicts of real models is what their quantized programs take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelbuild import importers
from modelbuild.arithmetic.fixed_model import FixedModel
from modelbuild.chips.load import load_recipe
from modelbuild.chips.recipe import Recipe
from modelbuild.graph.check import place
from modelbuild.graph.model import Graph
from modelbuild.graph.normalise import normalise
from modelbuild.graph.passes import run_passes
from modelbuild.npu.batch_compiler import compile_batch
from modelbuild.npu.compiler import CompiledModel, compile_model
from modelbuild.npu.predicting.assumptions import Options
from modelbuild.npu.predicting.prediction import predict
from modelbuild.quantize.apply import apply
from modelbuild.quantize.observe import observe
from modelbuild.quantize.quantize import quantize
from modelbuild.quantize.settings import Settings
from tests.pairs import few, spread

# Name -> the share by which cycles may differ: only inputs of a Concat, whose rescaling numbers decide.
MODELS = {"squeezenet1.1": 0.0, "mobilenetv2": 0.0, "yunet_n_320": 0.0, "ultraface_rfb_320": 0.03}
SETTINGS = {"split": False, "range": {"method": "minmax"}}
COUNTS = (
    "kind",
    "tiles",
    "dram_read",
    "dram_write",
    "weight_bytes",
    "compute_cycles",
    "cycles",
    "group",
    "on_chip",
)


# Options of the compiler beside the pictures a run.
VARIANTS: tuple[tuple[dict[str, Any], int], ...] = (
    ({"tiling": "deep"}, 1),
    ({"sram_bytes": 1 << 17}, 1),
    ({"sram_bytes": 1 << 17, "tiling": "deep"}, 2),
    ({"dedicated_output_buffer": False}, 3),
)


@dataclass(frozen=True)
class Real:
    """A lowered graph, where its nodes run, and its quantized form."""

    recipe: Recipe
    graph: Graph
    units: Mapping[str, str]
    fixed: FixedModel


@cache
def real(file: Path, chip: str) -> Real:
    recipe = load_recipe(chip)
    graph, _ = normalise(importers.load(file))
    graph, _ = run_passes(graph, recipe.passes)
    units = place(graph, recipe).units
    rng = np.random.default_rng(0)
    sample = {key: rng.standard_normal(graph.shapes[key]).astype(np.float32) for key in graph.inputs}
    record = quantize(graph, observe(graph, [sample]), Settings.read(SETTINGS), recipe.number_format)
    return Real(recipe, graph, units, apply(graph, units, record, recipe))


def counts(made: CompiledModel) -> list[list[object]]:
    return [[asdict(layer)[key] for key in COUNTS] for layer in made.layers]


@pytest.mark.parametrize(("name", "chip"), spread(MODELS, ["kl520", "kl720", "modalix"]))
def test_real_models(shared_data: Path, name: str, chip: str) -> None:
    model = real(shared_data / f"models/onnx/{name}.onnx", chip)
    built = compile_model(model.fixed, model.recipe, {})
    found = predict(model.graph, model.units, model.recipe)
    assert found.cycles == pytest.approx(built.cycles, rel=MODELS[name] or 1e-12)
    predicted = found.counted.compiled
    assert predicted.memory.dram_peak == pytest.approx(built.memory.dram_peak, rel=0.01)
    if MODELS[name] == 0.0:
        assert predicted.memory.weights == built.memory.weights
        assert predicted.memory.placements == built.memory.placements
        assert counts(predicted) == counts(built)


@pytest.mark.parametrize("variant", few(reversed(range(len(VARIANTS))), 2))  # which have every option
def test_a_real_model_cut_otherwise(shared_data: Path, variant: int) -> None:
    model = real(shared_data / "models/onnx/yunet_n_320.onnx", "kl720")
    options, batch = VARIANTS[variant]
    built, achieved = compile_batch(model.fixed, model.recipe, options, batch)
    found = predict(model.graph, model.units, model.recipe, Options(**options, batch=batch))
    predicted = found.counted.compiled
    assert (
        (found.batched.achieved, found.cycles) == (achieved.achieved, built.cycles) == (batch, built.cycles)
    )
    assert (predicted.tiling, predicted.deep) == (built.tiling, built.deep)
    assert predicted.memory.placements == built.memory.placements
    assert predicted.memory.sram_peak == built.memory.sram_peak
    assert counts(predicted) == counts(built)
