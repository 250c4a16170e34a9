"""What evaluate predicts of real models is what their quantized programs take."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from modelbuild import importers
from modelbuild.chips.load import load_recipe
from modelbuild.graph.check import place
from modelbuild.graph.normalise import normalise
from modelbuild.graph.passes import run_passes
from modelbuild.npu.compiler import compile_model
from modelbuild.npu.predicting.prediction import predict
from modelbuild.quantize.apply import apply
from modelbuild.quantize.observe import observe
from modelbuild.quantize.quantize import quantize
from modelbuild.quantize.settings import Settings

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


@pytest.mark.parametrize("chip", ["kl520", "kl720", "modalix"])
@pytest.mark.parametrize("name", MODELS)
def test_real_models(shared_data: Path, name: str, chip: str) -> None:
    recipe = load_recipe(chip)
    graph, _ = normalise(importers.load(shared_data / f"models/onnx/{name}.onnx"))
    graph, _ = run_passes(graph, recipe.passes)
    units = place(graph, recipe).units
    rng = np.random.default_rng(0)
    sample = {key: rng.standard_normal(graph.shapes[key]).astype(np.float32) for key in graph.inputs}
    record = quantize(graph, observe(graph, [sample]), Settings.read(SETTINGS), recipe.number_format)
    built = compile_model(apply(graph, units, record, recipe), recipe, {})
    found = predict(graph, units, recipe)
    assert found.cycles == pytest.approx(built.cycles, rel=MODELS[name] or 1e-12)
    predicted = found.counted.compiled
    assert predicted.memory.dram_peak == pytest.approx(built.memory.dram_peak, rel=0.01)
    if MODELS[name] == 0.0:
        assert predicted.memory.weights == built.memory.weights
        assert predicted.memory.placements == built.memory.placements
        rows = (
            [[asdict(layer)[key] for key in COUNTS] for layer in made.layers] for made in (predicted, built)
        )
        assert next(rows) == next(rows)
