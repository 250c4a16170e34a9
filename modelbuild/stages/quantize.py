"""Stage `quantize`: observations and a number format -> the quantization record. Runs no inference, unless
`mode: auto` has to measure what it chooses, or corrections are made with samples."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelbuild.build.action import FileInput, Resources
from modelbuild.quantize.sample_needs import needs_samples
from modelbuild.quantize.split_settings import may_divide
from modelbuild.stages import accuracy, goal
from modelbuild.stages.request import ModelRequest, Source

if TYPE_CHECKING:
    from modelbuild.chips.recipe import NumberFormat
    from modelbuild.graph.model import Graph
    from modelbuild.quantize.observations import Observations
    from modelbuild.quantize.record import Record
    from modelbuild.quantize.settings import Settings

VERSION = "21"
LIBRARIES = ("numpy", "onnx")
MEASURING = ("onnxruntime", "pillow")  # where it measures, these as well
SCHEME, EXPORT = "scheme", "export_scheme"  # of the settings: a file to take ranges from, one to write
SCHEME_FILE = "QuantScheme.json"
REFINING = 400 << 20  # bytes of codes of the samples, patches and moments, at most
REFINING_BY_SIZE = 160 << 20  # of a small model, with onnxruntime


def inputs(request: ModelRequest) -> dict[str, Source]:
    """The lowered model and what was observed of it, or the user's own record. Where choices are measured,
    the calibration samples as well."""
    model, asked = request.output("lower", "model.onnx"), request.settings["quantize"]
    if request.record is not None:
        needed: dict[str, Source] = {"model": model} if EXPORT in asked else {}
        return {"record": FileInput(request.record), **needed}
    found: dict[str, Source] = {"model": model, "observations": request.output("observe", "observations.npz")}
    if SCHEME in asked:
        found[SCHEME] = FileInput(asked[SCHEME])
    if _on_cpu(request):
        found["check"] = request.output("check", "check.json")
    if not (measures(request) or refines(request)):
        return found
    assert request.calibration is not None
    measured = goal.inputs(request) if measures(request) else {}
    return {**found, **measured, **request.calibration.roles()}


def parameters(request: ModelRequest) -> dict[str, Any]:
    """The effective quantize settings and the chip's number format; a record stands for both."""
    asked = request.settings["quantize"]
    export = {EXPORT: asked[EXPORT]} if EXPORT in asked else {}
    if request.record is not None:
        return export
    unread = {"threads", SCHEME, EXPORT, *(("inputs", "outputs") if request.has_own_ports else ())}
    settings = {key: value for key, value in asked.items() if key not in unread}
    if not may_divide(asked, ((rule["op"], rule["unit"]) for rule in request.recipe["operators"])):
        settings.setdefault("split", False)
    found = {"settings": settings, "number_format": request.recipe["number_format"], **export}
    if not (measures(request) or refines(request)):
        return found
    assert request.calibration is not None
    found |= {"preprocess": request.preprocess, "samples": len(request.calibration.files)}
    if refines(request):
        found["refine"] = True
    return {**found, **goal.parameters(request)} if measures(request) else found


def unkeyed(request: ModelRequest) -> dict[str, Any]:
    """How long a call of a function of the user's may take, where choices are measured with it."""
    return accuracy.unkeyed(request) if measures(request) else {}


def measures(request: ModelRequest) -> bool:
    """Whether what is chosen is measured."""
    return request.record is None and request.settings["quantize"].get("mode") == "auto"


def refines(request: ModelRequest) -> bool:
    """Whether weights or biases may be corrected from what samples make of them."""
    return _refines(request, 0 if request.calibration is None else len(request.calibration.files))


def _refines(request: ModelRequest, samples: int) -> bool:
    if request.record is not None:
        return False
    return needs_samples(request.settings["quantize"], request.recipe["number_format"]["weights"], samples)


def _on_cpu(request: ModelRequest) -> bool:
    """Whether nodes on the CPU have a number format of their own."""
    settings = request.settings["quantize"]
    return settings.get("mode") == "mixbw" or settings.get("cpu_nodes") is not None


def libraries(request: ModelRequest) -> tuple[str, ...]:
    """Those that it uses for this model."""
    return (*LIBRARIES, *MEASURING) if measures(request) or refines(request) else LIBRARIES


def resources(request: ModelRequest) -> Resources:
    """The weights and observations; where it measures, also the samples and a run of both forms; and what is
    refined, of which less where only the model's size may ask for it."""
    measuring = goal.BYTES + round(1.3 * request.activations) if measures(request) else 0
    if _refines(request, samples=0):
        refining = REFINING + request.activations
    else:
        refining = REFINING_BY_SIZE if refines(request) else 0
    return Resources(memory=(96 << 20) + max(measuring, refining), memory_per_input_byte=2.5)


def run(inputs: Mapping[str, Path], parameters: Mapping[str, Any], out: Path) -> None:
    """Leaves `quant.txt` and `quantize.json`, and where it is asked for the scheme."""
    from modelbuild.graph import onnx_io
    from modelbuild.graph.whole_numbers import floats_of
    from modelbuild.quantize import record as records
    from modelbuild.quantize import scheme
    from modelbuild.stages.files import write_json

    source: dict[str, Any] = {}
    if "record" in inputs:
        record = records.read(inputs["record"])
    else:
        record, source = _quantized(inputs, parameters)
    if EXPORT in parameters:
        by_channel = parameters[EXPORT] == "by_channel"
        text = scheme.written(record, floats_of(onnx_io.read(inputs["model"])), by_channel=by_channel)
        (out / SCHEME_FILE).write_text(text, encoding="utf-8", newline="\n")
    records.write(record, out / "quant.txt")
    write_json(out / "quantize.json", {**record.to_json(), **source})


def _quantized(inputs: Mapping[str, Path], parameters: Mapping[str, Any]) -> tuple[Record, dict[str, Any]]:
    """The record, and what else `quantize.json` says of where it comes from."""
    from modelbuild.chips.recipe import NumberFormat
    from modelbuild.graph import onnx_io
    from modelbuild.graph.kept_quantization import kept
    from modelbuild.graph.whole_numbers import floats_of
    from modelbuild.quantize.number_format import formats_of
    from modelbuild.quantize.observations import Observations
    from modelbuild.quantize.refining import is_refined, is_rounded_by_size
    from modelbuild.quantize.sensitivity import sensitivity
    from modelbuild.quantize.source_quantization import notes
    from modelbuild.quantize.split_record import of_record
    from modelbuild.stages.files import read_samples, validated

    graph = floats_of(onnx_io.read(inputs["model"]))
    observations = Observations.load(inputs["observations"])
    number_format = validated(NumberFormat, parameters["number_format"])
    settings = _settings(inputs, parameters, graph)
    record, source = _chosen(inputs, parameters, graph, observations, settings, number_format)
    formats = formats_of(number_format, settings)
    if parameters.get("refine") and is_refined(settings, record, graph):
        from modelbuild.quantize.refine import Wanted, refine  # loads onnxruntime

        samples = read_samples(inputs, parameters["samples"], graph, parameters["preprocess"])
        wanted = Wanted.by(settings, is_rounded_by_size(settings, graph, record.samples))
        record = refine(graph, record, formats, wanted, observations, samples)
    source["mode"] = settings.mode
    wide_tables = number_format.has_tables_of_16_bits
    source["sensitivity"] = sensitivity(graph, record, wide_tables=wide_tables).to_json()
    if kept(graph):
        taken = of_record(graph, record).graph
        source["notes"] = notes(kept(taken), taken, formats, record)
    return record, source


def _settings(inputs: Mapping[str, Path], parameters: Mapping[str, Any], graph: Graph) -> Settings:
    """The settings, with the ranges of a scheme."""
    from modelbuild.quantize import scheme
    from modelbuild.quantize.plan import make_plan
    from modelbuild.quantize.settings import Settings

    settings = Settings.read(parameters["settings"])
    if SCHEME not in inputs:
        return settings
    return scheme.applied(settings, scheme.read(inputs[SCHEME]), graph, make_plan(graph), str(inputs[SCHEME]))


def _chosen(
    inputs: Mapping[str, Path],
    parameters: Mapping[str, Any],
    graph: Graph,
    observations: Observations,
    settings: Settings,
    number_format: NumberFormat,
) -> tuple[Record, dict[str, Any]]:
    """The record as ranges and bits are chosen, and where they are measured what was."""
    from modelbuild.quantize.mixed import quantize_mixed
    from modelbuild.stages.check import read_units

    units = read_units(inputs["check"]) if "check" in inputs else {}
    if "accept" not in parameters:
        return quantize_mixed(graph, observations, settings, number_format, None, units), {}
    with goal.opened(inputs, parameters, graph) as wanted:
        record = quantize_mixed(graph, observations, settings, number_format, wanted, units)
    return record, {"auto": wanted.to_json(record)}
