"""Stage `compile`: the fixed-point model -> a program for the chip, position-independent."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modelbuild.build.action import Resources
from modelbuild.stages.request import ModelRequest, Source

VERSION = "3"
LIBRARIES = ("numpy", "onnx")
RESOURCES = Resources(memory=96 << 20, memory_per_input_byte=6.0)


def inputs(request: ModelRequest) -> dict[str, Source]:
    """The fixed-point model."""
    return {"fixed": request.fixed()}


def parameters(request: ModelRequest) -> dict[str, Any]:
    """The recipe, for memories and array, and the effective compile settings."""
    return {"recipe": request.recipe, "options": request.settings.get("compile") or {}}


def run(inputs: Mapping[str, Path], parameters: Mapping[str, Any], out: Path) -> None:
    """Leaves `command.bin`, `weights.bin`, `host.bin` and `compile.json`."""
    from dataclasses import asdict

    from modelbuild.chips.recipe import Recipe
    from modelbuild.npu.compiler import compile_model
    from modelbuild.quantize import fixed_onnx
    from modelbuild.stages.files import validated, write_json

    recipe = validated(Recipe, parameters["recipe"])
    compiled = compile_model(fixed_onnx.read(inputs["fixed"]), recipe, parameters["options"])
    (out / "command.bin").write_bytes(compiled.command)
    (out / "weights.bin").write_bytes(compiled.weights)
    (out / "host.bin").write_bytes(compiled.host)
    layers = [asdict(layer) for layer in compiled.layers]
    write_json(out / "compile.json", {"layers": layers, "memory": asdict(compiled.memory)})
