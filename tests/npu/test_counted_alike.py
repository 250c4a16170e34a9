"""What `evaluate` counts of a graph without numbers is what `compile` makes of the quantized model: the same
instructions but for numbers."""

from __future__ import annotations

from dataclasses import dataclass, fields
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
from modelbuild.graph.normalise import normalise
from modelbuild.graph.passes import run_passes
from modelbuild.npu import emitted
from modelbuild.npu.batching import widen
from modelbuild.npu.compiler import CompiledModel, compile_model
from modelbuild.npu.program import Instruction, Program, command_size
from modelbuild.quantize.apply import apply
from modelbuild.quantize.observe import observe
from modelbuild.quantize.outline import outline
from modelbuild.quantize.quantize import quantize
from modelbuild.quantize.settings import Settings
from tests.pairs import spread

NUMBERS = {"input_zero", "other_zero", "output_zero", "zero", "low", "high", "input_low", "start", "value"}
# Splitting channels is a choice that observed numbers make.
SETTINGS: dict[str, Any] = {"split": False, "range": {"method": "minmax"}}
SHAPES: dict[str, dict[str, tuple[int, ...]]] = {
    "mlperf_resnet8": {"input_1": (1, 3, 32, 32)},
    "mobilenetv2": {},
    "ppocr_cls_v2": {"x": (1, 3, 48, 192)},
    "ultraface_rfb_320": {},
    "yunet_n_320": {},
}
RESCALED = {"ultraface_rfb_320"}  # parts of concatenations whose scale turns out to be another


def masked(instruction: Instruction) -> tuple[Any, ...]:
    """An instruction without its numbers."""
    shown = (item.name for item in fields(instruction) if item.name not in NUMBERS)
    return type(instruction), *((name, getattr(instruction, name)) for name in shown)


# What is cut otherwise; and of the chip's SRAM the share, the tiling, pictures a run.
MODELS = (("mlperf_resnet8", "kl720"), ("mlperf_resnet8", "modalix"), ("yunet_n_320", "modalix"))
VARIANTS = ((8, "default", 1), (1, "deep", 1), (8, "deep", 1), (1, "default", 3), (8, "deep", 2))


@dataclass(frozen=True)
class Pair:
    """A model without numbers, and the quantized one."""

    recipe: Recipe
    outline: FixedModel
    quantized: FixedModel


@cache
def pair(file: Path, chip: str) -> Pair:
    recipe = load_recipe(chip)
    graph, _ = normalise(importers.load(file, SHAPES[file.stem]))
    graph, _ = run_passes(graph, recipe.passes)
    units, settings = place(graph, recipe).units, Settings.read(SETTINGS)
    rng = np.random.default_rng(0)
    sample = {
        name: (40 * rng.standard_normal(graph.shapes[name])).astype(graph.dtypes[name])
        for name in graph.inputs
    }
    record = quantize(graph, observe(graph, [sample]), settings, recipe.number_format)
    return Pair(recipe, outline(graph, units, recipe, settings), apply(graph, units, record, recipe))


Stream = list[tuple[Any, ...]]


def emitted_by(
    model: FixedModel, recipe: Recipe, options: dict[str, object], wanted: bool
) -> tuple[CompiledModel, list[Stream]]:
    """What is compiled, and the instructions of every plan that was looked at."""
    streams: list[Stream] = []

    def kept(program: Program) -> int:
        streams.append([masked(instruction) for instruction in program.instructions])
        return command_size(program)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(emitted, "command_size", kept)
        return compile_model(model, recipe, options, bytes_wanted=wanted), streams


@pytest.mark.parametrize(("name", "chip"), spread(SHAPES, ["kl520", "kl720", "modalix"]))
def test_the_same_instructions(shared_data: Path, name: str, chip: str) -> None:
    found = pair(shared_data / f"models/onnx/{name}.onnx", chip)
    counted, expected = emitted_by(found.outline, found.recipe, {}, False)
    made, streams = emitted_by(found.quantized, found.recipe, {}, True)
    if name in RESCALED:
        assert abs(counted.cycles - made.cycles) < 0.05 * made.cycles
        return
    assert counted.cycles == made.cycles
    assert len(streams) == 1 and streams == expected


@pytest.mark.parametrize(("model", "variant"), spread(MODELS, VARIANTS), ids=str)
def test_the_same_instructions_cut_otherwise(
    shared_data: Path, model: tuple[str, str], variant: tuple[int, str, int]
) -> None:
    name, chip = model
    found = pair(shared_data / f"models/onnx/{name}.onnx", chip)
    share, tiling, batch = variant
    options = {"sram_bytes": int(found.recipe.hardware.sram_bytes.value) // share, "tiling": tiling}
    models = [widen(model, batch).model for model in (found.outline, found.quantized)]
    assert all(model.tensors[model.inputs[0]].shape[0] == batch for model in models)
    (counted, expected), (made, streams) = (
        emitted_by(model, found.recipe, options, wanted)
        for model, wanted in zip(models, (False, True), strict=True)
    )
    assert (counted.cycles, counted.tiling, counted.deep) == (made.cycles, made.tiling, made.deep)
    assert len(streams) == (2 if tiling == "deep" else 1) and streams == expected
    assert counted.memory.placements == made.memory.placements
    assert counted.memory.sram_peak == made.memory.sram_peak <= options["sram_bytes"]
