"""Stage `check_result`: what is probably wrong with the quantized model. It never fails for it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modelbuild.build.action import FileInput, Resources
from modelbuild.stages.request import ModelRequest, Source

VERSION = "5"
LIBRARIES = ("numpy", "onnx")
RESOURCES = Resources(memory=96 << 20, memory_per_input_byte=2.5)


def inputs(request: ModelRequest) -> dict[str, Source]:
    """The record, what was observed of which model, and what was measured, as far as there is any."""
    found: dict[str, Source] = {"record": request.output("quantize", "quant.txt")}
    if request.record is not None:
        found["record"] = FileInput(request.record)
    elif request.calibration is not None:
        found["model"] = request.output("lower", "model.onnx")
        found["observations"] = request.output("observe", "observations.npz")
    if _fps(request):
        found["quantize"] = request.output("quantize", "quantize.json")
        found["evaluate"] = request.output("evaluate", "evaluate.json")
    if request.is_measured:
        found["fixed"] = request.output("verify_fixed", "fixed.json")
    return found


def parameters(request: ModelRequest) -> dict[str, Any]:
    """None: what counts is in the files."""
    return {}


def _fps(request: ModelRequest) -> bool:
    return (request.settings.get("accept") or {}).get("fps") is not None


def run(inputs: Mapping[str, Path], parameters: Mapping[str, Any], out: Path) -> None:
    """Leaves `result.json`."""
    from modelbuild.graph import onnx_io
    from modelbuild.graph.whole_numbers import floats_of
    from modelbuild.quantize import record as records
    from modelbuild.quantize.observations import Observations
    from modelbuild.quantize.result_checks import as_held, findings
    from modelbuild.report.widths import of_speed
    from modelbuild.stages.files import read_json, write_json

    record = records.read(inputs["record"])
    observations = None
    if "observations" in inputs:
        seen = Observations.load(inputs["observations"])
        observations = as_held(seen, record, floats_of(onnx_io.read(inputs["model"])))
    measured = read_json(inputs["fixed"]) if "fixed" in inputs else None
    found = findings(record, observations, measured)
    if "quantize" in inputs:
        found += of_speed(read_json(inputs["quantize"]), read_json(inputs["evaluate"]))
    write_json(out / "result.json", {"findings": [one.to_json() for one in found]})
