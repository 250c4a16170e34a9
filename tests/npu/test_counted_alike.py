"""What `evaluate` counts of a graph without numbers is what `compile` makes of the quantized model: the same
instructions but for numbers."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelbuild import importers
from modelbuild.arithmetic.fixed_model import FixedModel
from modelbuild.chips.load import load_recipe
from modelbuild.graph.check import place
from modelbuild.graph.normalise import normalise
from modelbuild.graph.passes import run_passes
from modelbuild.npu import compiler
from modelbuild.npu.compiler import compile_model
from modelbuild.npu.program import Instruction, Program, encode
from modelbuild.quantize.apply import apply
from modelbuild.quantize.observe import observe
from modelbuild.quantize.outline import outline
from modelbuild.quantize.quantize import quantize
from modelbuild.quantize.settings import Settings

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


@pytest.mark.parametrize("chip", ["kl520", "kl720", "modalix"])
@pytest.mark.parametrize("name", SHAPES)
def test_the_same_instructions(
    shared_data: Path, monkeypatch: pytest.MonkeyPatch, name: str, chip: str
) -> None:
    recipe = load_recipe(chip)
    graph, _ = normalise(importers.load(shared_data / f"models/onnx/{name}.onnx", SHAPES[name]))
    graph, _ = run_passes(graph, recipe.passes)
    units, settings = place(graph, recipe).units, Settings.read(SETTINGS)
    rng = np.random.default_rng(0)
    sample = {
        name: (40 * rng.standard_normal(graph.shapes[name])).astype(graph.dtypes[name])
        for name in graph.inputs
    }
    record = quantize(graph, observe(graph, [sample]), settings, recipe.number_format)
    streams: list[list[tuple[Any, ...]]] = []

    def kept(program: Program) -> int:
        streams.append([masked(instruction) for instruction in program.instructions])
        return 1

    monkeypatch.setattr(compiler, "encode", lambda program: encode(program) * kept(program))
    monkeypatch.setattr(compiler, "command_size", kept)

    def cycles(model: FixedModel, wanted: bool) -> int:
        return compile_model(model, recipe, {}, bytes_wanted=wanted).cycles

    counted = cycles(outline(graph, units, recipe, settings), False)
    made = cycles(apply(graph, units, record, recipe), True)
    if name in RESCALED:
        assert abs(counted - made) < 0.05 * made
        return
    assert counted == made
    assert streams[0] == streams[1]
