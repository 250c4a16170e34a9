"""Stage `quantize`: observations and a number format -> the quantization record. Runs no inference."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modelbuild.build.action import FileInput, Resources
from modelbuild.stages.request import ModelRequest, Source

VERSION = "3"
LIBRARIES = ("numpy", "onnx")
RESOURCES = Resources(memory=96 << 20, memory_per_input_byte=2.5)


def inputs(request: ModelRequest) -> dict[str, Source]:
    """The lowered model and what was observed of it, or the user's own record."""
    if request.record is not None:
        return {"record": FileInput(request.record)}
    model = request.output("lower", "model.onnx")
    return {"model": model, "observations": request.output("observe", "observations.npz")}


def parameters(request: ModelRequest) -> dict[str, Any]:
    """The effective quantize settings and the chip's number format; a record stands for both."""
    if request.record is not None:
        return {}
    return {"settings": request.settings["quantize"], "number_format": request.recipe["number_format"]}


def run(inputs: Mapping[str, Path], parameters: Mapping[str, Any], out: Path) -> None:
    """Leaves `quant.txt` and `quantize.json`."""
    from modelbuild.chips.recipe import NumberFormat
    from modelbuild.graph import onnx_io
    from modelbuild.graph.kept_quantization import kept
    from modelbuild.quantize import record as records
    from modelbuild.quantize.number_format import formats_of
    from modelbuild.quantize.observe import Observations
    from modelbuild.quantize.quantize import quantize
    from modelbuild.quantize.settings import Settings
    from modelbuild.quantize.source_quantization import notes
    from modelbuild.stages.files import validated, write_json

    source: dict[str, Any] = {}
    if "record" in inputs:
        record = records.read(inputs["record"])
    else:
        graph = onnx_io.read(inputs["model"])
        observations = Observations.load(inputs["observations"])
        number_format = validated(NumberFormat, parameters["number_format"])
        settings = Settings.read(parameters["settings"])
        record = quantize(graph, observations, settings, number_format)
        entries = kept(graph)
        if entries:
            formats = formats_of(number_format, settings)
            source["notes"] = notes(entries, graph, formats, record)
    records.write(record, out / "quant.txt")
    write_json(out / "quantize.json", {**record.to_json(), **source})
