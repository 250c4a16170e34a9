"""Stage `compile`: the fixed-point model -> a program for the chip, position-independent."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modelbuild.build import progress
from modelbuild.build.action import Resources
from modelbuild.npu.choices import group_of
from modelbuild.stages.request import ModelRequest, Source

VERSION = "9"
LIBRARIES = ("numpy", "onnx")
# What the setting says that is not the compiler's: a form of packages, and the model's dimension 0.
_NOT_OPTIONS = ("flatbuffer", "batch")


def inputs(request: ModelRequest) -> dict[str, Source]:
    """The fixed-point model."""
    return {"fixed": request.fixed()}


def parameters(request: ModelRequest) -> dict[str, Any]:
    """The recipe, for memories and array, the effective compile settings, and the batch where one is set."""
    settings = request.settings.get("compile") or {}
    options = {key: value for key, value in settings.items() if key not in _NOT_OPTIONS}
    batch = {"batch": settings["batch"]} if "batch" in settings else {}
    return {"recipe": request.recipe, "options": options, **batch}


def unkeyed(request: ModelRequest) -> dict[str, Any]:
    """The digest of all recipes: what is told of a model that does not fit names other chips."""
    return {"recipes": request.recipes}


def resources(request: ModelRequest) -> Resources:
    """The weights a few times over; the rest is a list of instructions, which grows with the batch."""
    batch = (request.settings.get("compile") or {}).get("batch", 1)
    return Resources(memory=(96 << 20) + (batch << 20), memory_per_input_byte=6.0)


def run(inputs: Mapping[str, Path], parameters: Mapping[str, Any], out: Path) -> None:
    """Leaves `command.bin`, `weights.bin`, `host.bin` and `compile.json`; of a kmodel the first is
    all of it, and the next two are empty. Tells how many groups are done."""
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


def _told(done: int, groups: int, tiling: str) -> None:
    progress.report(done, groups, group_of(tiling))
