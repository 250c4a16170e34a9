"""Stage `quantize`: observations and a number format -> the quantization record. Runs no inference."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modelbuild.build.action import FileInput
from modelbuild.stages.request import ModelRequest, Source

VERSION = "1"
LIBRARIES = ("numpy", "onnx")


def inputs(request: ModelRequest) -> dict[str, Source]:
    """The lowered model and what was observed of it, or the user's own record."""
    model: dict[str, Source] = {"model": request.output("lower", "model.onnx")}
    if request.record is not None:
        return {**model, "record": FileInput(request.record)}
    return {**model, "observations": request.output("observe", "observations.npz")}


def parameters(request: ModelRequest) -> dict[str, Any]:
    """The effective quantize settings and the chip's number format."""
    return {"settings": request.settings["quantize"], "number_format": request.recipe["number_format"]}


def run(inputs: Mapping[str, Path], parameters: Mapping[str, Any], out: Path) -> None:
    """Leaves `quant.txt` and `quantize.json`."""
    from modelbuild.chips.recipe import NumberFormat
    from modelbuild.graph import onnx_io
    from modelbuild.quantize import record as records
    from modelbuild.quantize.observe import Observations
    from modelbuild.quantize.quantize import quantize
    from modelbuild.stages.files import validated, write_json

    graph = onnx_io.read(inputs["model"])
    number_format = validated(NumberFormat, parameters["number_format"])
    if "record" in inputs:
        record = records.read(inputs["record"])
    else:
        observations = Observations.load(inputs["observations"])
        record = quantize(graph, observations, parameters["settings"], number_format)
    records.write(record, out / "quant.txt")
    write_json(out / "quantize.json", record.to_json())
