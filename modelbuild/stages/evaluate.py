"""Stage `evaluate`: the time the chip will take, predicted from the recipe's facts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modelbuild.build.action import Resources
from modelbuild.stages.request import ModelRequest, Source

VERSION = "2"
LIBRARIES = ("numpy", "onnx")
RESOURCES = Resources(memory=96 << 20, memory_per_input_byte=2.0, counted=("model",))


def inputs(request: ModelRequest) -> dict[str, Source]:
    """The lowered model and where its nodes run."""
    return {
        "model": request.output("lower", "model.onnx"),
        "check": request.output("check", "check.json"),
        "errors": request.output("check", "errors.json"),
    }


def parameters(request: ModelRequest) -> dict[str, Any]:
    """The recipe, for its hardware facts, and the memory that the compiler is told to keep to."""
    sram = (request.settings.get("compile") or {}).get("sram_bytes")
    return {"recipe": request.recipe, "model": request.model, "sram_bytes": sram}


def run(inputs: Mapping[str, Path], parameters: Mapping[str, Any], out: Path) -> None:
    """Leaves `evaluate.json`."""
    from modelbuild.chips.recipe import Fact, Recipe
    from modelbuild.graph import onnx_io
    from modelbuild.npu.cost import evaluate
    from modelbuild.stages.check import read_units, refuse_errors
    from modelbuild.stages.files import validated, write_json

    refuse_errors(inputs["errors"], compiles=False)
    graph = onnx_io.read(inputs["model"])
    recipe = validated(Recipe, parameters["recipe"])
    if parameters["sram_bytes"] is not None:
        sram = Fact(value=float(parameters["sram_bytes"]), source="compile.sram_bytes", sure="measured")
        hardware = recipe.hardware.model_copy(update={"sram_bytes": sram})
        recipe = recipe.model_copy(update={"hardware": hardware})
    predicted = evaluate(graph, read_units(inputs["check"]), recipe)
    write_json(out / "evaluate.json", {**predicted, "model": parameters["model"]})
