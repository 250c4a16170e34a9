"""Stage `quantize`: observations and a number format -> the quantization record. Runs no inference, unless
`mode: auto` has to measure what it chooses."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelbuild.build.action import FileInput, Resources
from modelbuild.stages.request import ModelRequest, Source

if TYPE_CHECKING:
    from modelbuild.graph.model import Graph
    from modelbuild.quantize.mixed import Goal

VERSION = "4"
LIBRARIES = ("numpy", "onnx")
MEASURING = ("onnxruntime", "pillow")  # where it measures, these as well
MEASURED = 64  # calibration samples that a choice of `mode: auto` is measured on
GOALS = ("snr_db", "snr_db_mean")


def inputs(request: ModelRequest) -> dict[str, Source]:
    """The lowered model and what was observed of it, or the user's own record. Where choices are measured,
    the calibration samples as well."""
    if request.record is not None:
        return {"record": FileInput(request.record)}
    model = request.output("lower", "model.onnx")
    found: dict[str, Source] = {"model": model, "observations": request.output("observe", "observations.npz")}
    if _on_cpu(request):
        found["check"] = request.output("check", "check.json")
    if not measures(request):
        return found
    assert request.calibration is not None
    return {**found, **request.after_chip(), **request.calibration.roles()}


def parameters(request: ModelRequest) -> dict[str, Any]:
    """The effective quantize settings and the chip's number format; a record stands for both."""
    if request.record is not None:
        return {}
    settings = {key: value for key, value in request.settings["quantize"].items() if key != "threads"}
    found = {"settings": settings, "number_format": request.recipe["number_format"]}
    if not measures(request):
        return found
    assert request.calibration is not None
    accept = request.settings.get("accept") or {}
    return {
        **found,
        "accept": {key: accept[key] for key in GOALS if key in accept},
        "recipe": request.recipe,
        "preprocess": request.preprocess,
        "samples": len(request.calibration.files),
    }


def measures(request: ModelRequest) -> bool:
    """Whether what is chosen is measured."""
    return request.record is None and request.settings["quantize"].get("mode") == "auto"


def _on_cpu(request: ModelRequest) -> bool:
    """Whether nodes on the CPU have a number format of their own."""
    settings = request.settings["quantize"]
    return settings.get("mode") == "mixbw" or settings.get("cpu_nodes") is not None


def libraries(request: ModelRequest) -> tuple[str, ...]:
    """Those that it uses for this model."""
    return (*LIBRARIES, *MEASURING) if measures(request) else LIBRARIES


def resources(request: ModelRequest) -> Resources:
    """The weights and observations; where it measures, also the samples and a run of both forms."""
    measuring = round(1.3 * request.activations) if measures(request) else 0
    return Resources(memory=(96 << 20) + measuring, memory_per_input_byte=2.5)


def run(inputs: Mapping[str, Path], parameters: Mapping[str, Any], out: Path) -> None:
    """Leaves `quant.txt` and `quantize.json`."""
    from modelbuild.chips.recipe import NumberFormat
    from modelbuild.graph import onnx_io
    from modelbuild.graph.kept_quantization import kept
    from modelbuild.quantize import record as records
    from modelbuild.quantize.mixed import quantize_mixed
    from modelbuild.quantize.number_format import formats_of
    from modelbuild.quantize.observe import Observations
    from modelbuild.quantize.sensitivity import sensitivity
    from modelbuild.quantize.settings import Settings
    from modelbuild.quantize.source_quantization import notes
    from modelbuild.stages.check import read_units
    from modelbuild.stages.files import validated, write_json

    source: dict[str, Any] = {}
    if "record" in inputs:
        record = records.read(inputs["record"])
    else:
        graph = onnx_io.read(inputs["model"])
        observations = Observations.load(inputs["observations"])
        number_format = validated(NumberFormat, parameters["number_format"])
        settings = Settings.read(parameters["settings"])
        units = read_units(inputs["check"]) if "check" in inputs else {}
        goal = _goal(inputs, parameters, graph) if "accept" in parameters else None
        record = quantize_mixed(graph, observations, settings, number_format, goal, units)
        source["sensitivity"] = sensitivity(graph, record).to_json()
        entries = kept(graph)
        if entries:
            formats = formats_of(number_format, settings)
            source["notes"] = notes(entries, graph, formats, record)
    records.write(record, out / "quant.txt")
    write_json(out / "quantize.json", {**record.to_json(), **source})


def _goal(inputs: Mapping[str, Path], parameters: Mapping[str, Any], graph: Graph) -> Goal:
    """What `accept` wants, measured on calibration samples, spread evenly."""
    from modelbuild.chips.recipe import Recipe
    from modelbuild.quantize.apply import apply
    from modelbuild.quantize.mixed import Goal
    from modelbuild.quantize.mixed_measure import OutputMeter
    from modelbuild.stages.files import read_after_chip, read_samples, validated

    recipe = validated(Recipe, parameters["recipe"])
    after = read_after_chip(inputs.get("post"))
    fed = graph if after is None else after.with_inputs(graph)
    count = parameters["samples"]
    kept = {index * count // min(count, MEASURED) for index in range(min(count, MEASURED))}
    samples = read_samples(inputs, count, fed, parameters["preprocess"])
    meter = OutputMeter(
        graph,
        (sample for index, sample in enumerate(samples) if index in kept),
        lambda record: apply(graph, {}, record, recipe),
        after,
    )
    return Goal(parameters["accept"], meter)
