"""Stage `evaluate`: the time the chip will take, predicted from the recipe's facts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modelbuild.build import progress
from modelbuild.build.action import Resources
from modelbuild.npu.choices import group_of
from modelbuild.stages.request import ModelRequest, Source

VERSION = "15"
LIBRARIES = ("numpy", "onnx")
RESOURCES = Resources(memory=96 << 20, memory_per_input_byte=2.0, counted=("model", "source"))


def inputs(request: ModelRequest) -> dict[str, Source]:
    """The lowered model, what it was before, and where its nodes run."""
    return {
        "model": request.output("lower", "model.onnx"),
        "source": request.output("normalise", "model.onnx"),
        "check": request.output("check", "check.json"),
        "errors": request.output("check", "errors.json"),
    }


# What of the settings decides how the chip runs the model, and what a prediction calls it.
_COMPILE = ("sram_bytes", "tiling", "batch", "dedicated_output_buffer")
_PACKING = "weight_compress"
_FORMATS = ("activations", "weights")


def parameters(request: ModelRequest) -> dict[str, Any]:
    """The recipe, for its hardware facts, what the compiler is told, and the number formats."""
    settings = request.settings
    compiled, quantized = (settings.get(key) or {} for key in ("compile", "quantize"))
    options = {key: compiled[key] for key in _COMPILE if compiled.get(key) is not None}
    options[_PACKING] = bool(
        compiled.get(_PACKING)
    )  # false is left out of settings, whatever the recipe says
    formats = {key: quantized[key] for key in _FORMATS if quantized.get(key) is not None}
    if request.ports:
        formats["ports"] = request.ports
    return {"recipe": request.recipe, "model": request.model, "options": options, "formats": formats}


def _told(done: int, groups: int, tiling: str) -> None:
    progress.report(done, groups, group_of(tiling))


def run(inputs: Mapping[str, Path], parameters: Mapping[str, Any], out: Path) -> None:
    """Leaves `evaluate.json`. Tells how many groups are done."""
    from modelbuild.chips.recipe import Recipe
    from modelbuild.graph import onnx_io
    from modelbuild.graph.statistics import macs_by_origin
    from modelbuild.npu.predicting.assumptions import Options
    from modelbuild.stages.backends import of_recipe
    from modelbuild.stages.check import read_placement, refuse_errors
    from modelbuild.stages.files import validated, write_json

    refuse_errors(inputs["errors"], compiles=False)
    placed = read_placement(inputs["check"])
    recipe = validated(Recipe, parameters["recipe"])
    options = Options(**parameters["options"], **parameters["formats"])
    units = {row["node"]: row["unit"] for row in placed}
    predicting = of_recipe(parameters["recipe"]).predicting()
    found = predicting.predict(onnx_io.read(inputs["model"]), units, recipe, options, _told)
    reasons = {row["node"]: row["reason"] for row in placed}
    source = macs_by_origin(onnx_io.read(inputs["source"]))
    said = predicting.said(found, reasons, source) | {"model": parameters["model"]}
    write_json(out / "evaluate.json", said)
