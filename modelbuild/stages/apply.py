"""Stage `apply`: lowered graph and quantization record -> the fixed-point model, same bytes anywhere."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modelbuild.build import progress
from modelbuild.build.action import FileInput, Resources
from modelbuild.stages import backends
from modelbuild.stages.request import ModelRequest, Source

VERSION = "11"
LIBRARIES = ("numpy", "onnx")
GIVEN = "given"
PORTS = "ports"
_ROOM = "sram_bytes"
_TOLD = ("preprocess", "in_model")  # what travels with the model, as JSON
RESOURCES = Resources(memory=96 << 20, memory_per_input_byte=2.5, counted=("model",))


def inputs(request: ModelRequest) -> dict[str, Source]:
    """The lowered model, where its nodes run, and the record, unless the chip computes with floats; the
    user's own, whose lines errors name."""
    found: dict[str, Source] = {
        "model": request.output("lower", "model.onnx"),
        "check": request.output("check", "check.json"),
        "errors": request.output("check", "errors.json"),
    }
    if request.has_record:
        found["record"] = request.output("quantize", "quant.txt")
    return found if request.record is None else {GIVEN: FileInput(request.record), **found}


def parameters(request: ModelRequest) -> dict[str, Any]:
    """The recipe, what travels with the model to those who run it, the formats of its ports, and the memory
    by which layers are divided, where not all of it is to be used."""
    in_model = {"in_model": request.in_model} if request.in_model else {}
    told = {"preprocess": request.preprocess, "model": request.model, **in_model}
    ports = {PORTS: request.ports} if request.ports else {}
    size = (request.settings.get("compile") or {}).get(_ROOM)
    room = {_ROOM: size} if size is not None and backends.of_recipe(request.recipe).divides else {}
    return {"recipe": request.recipe, **told, **ports, **room}


def run(inputs: Mapping[str, Path], parameters: Mapping[str, Any], out: Path) -> None:
    """Leaves `model.fixed.onnx`. Tells how many layers are done, where that takes long."""
    import json
    from dataclasses import replace

    from modelbuild.chips.recipe import Recipe
    from modelbuild.graph import onnx_io
    from modelbuild.quantize import fixed_onnx
    from modelbuild.quantize import record as records
    from modelbuild.stages.check import read_units, refuse_errors
    from modelbuild.stages.files import validated

    refuse_errors(inputs["errors"])
    graph = onnx_io.read(inputs["model"])
    units = read_units(inputs["check"])
    recipe = validated(Recipe, parameters["recipe"]).with_sram(parameters.get(_ROOM))
    place = inputs.get(GIVEN, inputs.get("record"))
    record = None if place is None else records.read(place, given=GIVEN in inputs)
    backend = backends.of_recipe(parameters["recipe"]).load()
    ports = {"asked": parameters[PORTS]} if PORTS in parameters else {}
    fixed = backend.lower(graph, units, record, recipe, progress.report, **ports)
    told = {key: json.dumps(parameters[key], sort_keys=True) for key in _TOLD if key in parameters}
    metadata = {**fixed.metadata, **told}
    fixed_onnx.write(replace(fixed, name=parameters["model"], metadata=metadata), out / "model.fixed.onnx")
