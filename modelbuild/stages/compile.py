"""Stage `compile`: the fixed-point model -> a program for the chip, position-independent."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modelbuild.build import progress
from modelbuild.build.action import Resources
from modelbuild.npu.choices import group_of
from modelbuild.stages.request import ModelRequest, Source

VERSION = "7"
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
    """Leaves `command.bin`, `weights.bin`, `host.bin` and `compile.json`. Tells how many groups are done."""
    from dataclasses import asdict

    from modelbuild.chips.recipe import Recipe
    from modelbuild.npu.batch_compiler import compile_batch
    from modelbuild.npu.batching import widen
    from modelbuild.npu.limits import OverMemory, other_chips
    from modelbuild.npu.savings import saved
    from modelbuild.quantize import fixed_onnx
    from modelbuild.stages.files import validated, write_json

    recipe = validated(Recipe, parameters["recipe"])
    fixed, options = fixed_onnx.read(inputs["fixed"]), parameters["options"]
    try:
        compiled, batch = compile_batch(fixed, recipe, options, parameters.get("batch"), _told)
    except OverMemory as error:
        raise error.with_chips(other_chips(recipe)) from None
    (out / "command.bin").write_bytes(compiled.command)
    (out / "weights.bin").write_bytes(compiled.weights)
    (out / "host.bin").write_bytes(compiled.host)
    widened = widen(fixed, batch.achieved).model
    untaken = () if compiled.deep is None else compiled.deep.findings()
    plan = {
        "batch": batch.to_json(),
        "cycles": compiled.cycles,
        "deep": None if compiled.deep is None else compiled.deep.to_json(),
        "findings": [finding.to_json() for finding in (*batch.findings, *untaken)],
        "groups": [asdict(group) for group in compiled.groups],
        "layers": [asdict(layer) for layer in compiled.layers],
        "memory": asdict(compiled.memory) | saved(compiled, widened, recipe, options),
        "packed": compiled.packed,
        "tiling": compiled.tiling,
    }
    write_json(out / "compile.json", plan)


def _told(done: int, groups: int, tiling: str) -> None:
    progress.report(done, groups, group_of(tiling))
