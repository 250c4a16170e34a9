"""Stage `compile`: the fixed-point model -> a program for the chip, position-independent."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelbuild.build import progress
from modelbuild.build.action import Resources
from modelbuild.npu.choices import group_of
from modelbuild.stages.request import ModelRequest, Source

if TYPE_CHECKING:
    from modelbuild.arithmetic.fixed_model import FixedModel
    from modelbuild.chips.recipe import Recipe
    from modelbuild.stages.backends.forms import Made

VERSION = "10"
LIBRARIES = ("numpy", "onnx")
# What the setting says that is not the compiler's: a form of packages, and the model's dimension 0.
_NOT_OPTIONS = ("flatbuffer", "batch")


def inputs(request: ModelRequest) -> dict[str, Source]:
    """The fixed-point model; and what it was made of, where what is made is timed."""
    if not request.times_built:
        return {"fixed": request.fixed()}
    return {
        "fixed": request.fixed(),
        "model": request.output("lower", "model.onnx"),
        "source": request.output("normalise", "model.onnx"),
        "check": request.output("check", "check.json"),
    }


def parameters(request: ModelRequest) -> dict[str, Any]:
    """The recipe, for memories and array, the effective compile settings, and the batch where one is set."""
    settings = request.settings.get("compile") or {}
    options = {key: value for key, value in settings.items() if key not in _NOT_OPTIONS}
    batch = {"batch": settings["batch"]} if "batch" in settings else {}
    called = {"model": request.model} if request.times_built else {}
    return {"recipe": request.recipe, "options": options, **batch, **called}


def unkeyed(request: ModelRequest) -> dict[str, Any]:
    """The digest of all recipes: what is told of a model that does not fit names other chips."""
    return {"recipes": request.recipes}


def resources(request: ModelRequest) -> Resources:
    """The weights a few times over; the rest is a list of instructions, which grows with the batch."""
    batch = (request.settings.get("compile") or {}).get("batch", 1)
    return Resources(memory=(96 << 20) + (batch << 20), memory_per_input_byte=6.0, counted=("fixed", "model"))


def run(inputs: Mapping[str, Path], parameters: Mapping[str, Any], out: Path) -> None:
    """Leaves `command.bin`, `weights.bin`, `host.bin` and `compile.json`; of a kmodel the first is
    all of it, the next two are empty, and `evaluate.json` has its times. Tells how many groups are done."""
    from modelbuild.chips.recipe import Recipe
    from modelbuild.quantize import fixed_onnx
    from modelbuild.stages import backends
    from modelbuild.stages.files import validated, write_json

    recipe = validated(Recipe, parameters["recipe"])
    backend = backends.of_recipe(parameters["recipe"]).load()
    fixed, options = fixed_onnx.read(inputs["fixed"]), parameters["options"]
    made = backend.compile_fixed(fixed, recipe, options, parameters.get("batch"), _told)
    (out / "command.bin").write_bytes(made.command)
    (out / "weights.bin").write_bytes(made.weights)
    (out / "host.bin").write_bytes(made.host)
    write_json(out / "compile.json", made.plan)
    if "model" in inputs:
        write_json(out / "evaluate.json", _timed(inputs, parameters, recipe, fixed, made))


def _timed(
    inputs: Mapping[str, Path],
    parameters: Mapping[str, Any],
    recipe: Recipe,
    fixed: FixedModel,
    made: Made,
) -> dict[str, Any]:
    """The object of `evaluate`, of what was made."""
    from modelbuild.graph import onnx_io
    from modelbuild.graph.statistics import macs_by_origin
    from modelbuild.npu.predicting.assumptions import Options
    from modelbuild.stages import backends
    from modelbuild.stages.check import read_placement

    placed = read_placement(inputs["check"])
    units, reasons = ({row["node"]: row[key] for row in placed} for key in ("unit", "reason"))
    predicting = backends.of_arithmetic(recipe.number_format.arithmetic).predicting()
    told = Options(sram_bytes=parameters["options"].get("sram_bytes"))
    found = predicting.of_built(onnx_io.read(inputs["model"]), units, recipe, fixed, made.compiled, told)
    source = macs_by_origin(onnx_io.read(inputs["source"]))
    return {**predicting.said(found, reasons, source), "model": parameters["model"]}


def _told(done: int, groups: int, tiling: str) -> None:
    progress.report(done, groups, group_of(tiling))
