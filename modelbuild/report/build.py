"""Stage files -> the report of a package. A stage that failed becomes a failure to show, never a gap."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modelbuild.graph.codes import CODES, covers
from modelbuild.report import bounds, layers, mapping, predicted, verdict
from modelbuild.report.measurements import Fidelity, Hardware, Performance
from modelbuild.report.memory_plan import plan_of
from modelbuild.report.model import Batch, Check, Failure, Model, Package, Problem, Quantization, Report
from modelbuild.report.network import Port, Removed
from modelbuild.report.verdict import ACCURACY_BOUNDS, judge
from modelbuild.report.widths import caveat, widths
from modelbuild.samples.preprocess import from_settings, resulting_range, to_json

FAILURE = ".failure"
# role -> what the stage is called. Of these only failures are shown: what they leave is not read.
MODEL_STEPS = {
    "source": "Reading the source",
    "observe": "Calibration",
    "apply": "Making the fixed-point model",
    "remeasure": "Measuring again",
}
MODEL_ROLES = {
    "import": "Import",
    "lower": "Optimisation for the chip",
    "check": "Operator check",
    "evaluate": "Performance prediction",
    "quantize": "Quantization",
    "fixed": "Fixed point against float",
    "compile": "Compilation",
    "hardware": "Hardware against fixed point",
    "calibration": "Check of the calibration samples",
    "result": "Check of the quantized model",
}
PACKAGE_ROLES = {"package": "Packaging"}
PACKAGE_STEPS = {"locked": "Comparison with modelbuild.lock"}  # of a locked build
_MEASURED = ("check", "evaluate", "fixed", "hardware", "quantize")  # what verdict.judge reads
_OF_PACKAGE = ("format", "files", "included", "encrypted")  # what package.json knows best
GATE = "gate"
BUILT = "built"


@dataclass(frozen=True)
class ModelInputs:
    """A model of the package. `files` holds, by role of `MODEL_ROLES`, the JSON file that the stage left, or
    under `<role>.failure` (of `MODEL_STEPS` too) the builder's account of why it left none. `built` is what
    `evaluate` says of the file that was compiled, where anything does. A role in neither form does not apply,
    as import for a source that is a fixed-point model already. `accept`, `preprocess` and `in_model` (input
    name -> declaration) are the manifest's effective settings; `ignore` are the entries {code, node} of its
    `checks: {ignore: ...}`, which hold for what samples and measurements tell."""

    name: str
    files: Mapping[str, Path]
    id: int | None = None
    version: str | None = None
    accept: Mapping[str, Any] = field(default_factory=dict)
    preprocess: Mapping[str, Any] = field(default_factory=dict)
    in_model: Mapping[str, Any] = field(default_factory=dict)
    ignore: Sequence[Mapping[str, Any]] = ()
    removed: bool = False  # whether something was cut off the model
    has_int16: bool = True  # of the chip


def collect(
    package: Mapping[str, Any], models: Sequence[ModelInputs], files: Mapping[str, Path] | None = None
) -> Report:
    """The report. `package`: `name`, `target`, `chip`, and where known `project`, `project_version`,
    `vendor`, `description`, `format` and `toolchain`. `files`: `package` -> package.json, or
    `package.failure`, and `locked` likewise. Bounds are judged here from the measurements, as the gate does,
    so that the report needs no gate. Raises only where a file is not what its stage writes."""
    found, failures = _read(files or {}, PACKAGE_ROLES, PACKAGE_STEPS, "")
    packed = found.get("package") or {}
    read = [_read(model.files, MODEL_ROLES, MODEL_STEPS, model.name) for model in models]
    judged = [
        judge(model.name, model.accept, _measured(data))
        for model, (data, _) in zip(models, read, strict=True)
    ]
    read = [
        (data, (*failed, *_gate(package, model, data, own, failed)))
        for model, own, (data, failed) in zip(models, judged, read, strict=True)
    ]
    checks = [Check(**check.to_json()) for own in judged for check in own]
    described = tuple(_model(model, data, failed) for model, (data, failed) in zip(models, read, strict=True))
    broken = bool(failures) or any(model.failures for model in described)
    return Report(
        passed=not broken and all(check.passed for check in checks),
        package=Package(**{**package, **{key: packed[key] for key in _OF_PACKAGE if key in packed}}),
        checks=tuple(checks),
        failures=failures,
        models=described,
        unbounded=tuple(model.name for model in models if not ACCURACY_BOUNDS & set(model.accept)),
    )


def _measured(data: Mapping[str, Any]) -> dict[str, Any]:
    found = {role: data[role] for role in _MEASURED if role in data}
    return {**found, "evaluate": data[BUILT]} if BUILT in data else found


def _read(
    files: Mapping[str, Path], roles: Mapping[str, str], steps: Mapping[str, str], model: str
) -> tuple[dict[str, Any], tuple[Failure, ...]]:
    """What each role's file holds, and the failures: those that have a cause of their own first."""
    found = {role: json.loads(files[role].read_bytes()) for role in (*roles, BUILT) if role in files}
    failures = [
        Failure(
            **{
                "stage": role,
                "title": title,
                "model": model,
                **json.loads(files[role + FAILURE].read_bytes()),
            }
        )
        for role, title in (*steps.items(), *roles.items())
        if role not in files and role + FAILURE in files
    ]
    return found, tuple(sorted(failures, key=lambda failure: failure.state == "skipped"))


def _gate(
    package: Mapping[str, Any],
    model: ModelInputs,
    data: Mapping[str, Any],
    checks: Sequence[verdict.Check],
    failures: tuple[Failure, ...],
) -> tuple[Failure, ...]:
    """The bounds that do not hold as a failure with advice; what a failed stage could not measure is its."""
    missed = [one for one in checks if not one.passed and (one.measured is not None or not failures)]
    if not missed:
        return ()
    pair = f"{model.name}@{package['target']}"
    about = {"removed": model.removed, "has_int16": model.has_int16, "pair": pair}
    told = bounds.advice(missed, {model.name: bounds.facts_of(data, about)})
    problems = tuple(
        Problem(what=bounds.said(one), where=f"model {model.name}", advice=told.get(one, ""))
        for one in missed
    )
    title = "The gate"
    return (
        Failure(
            stage=GATE, title=title, model=model.name, action=f"{package['name']}:{GATE}", problems=problems
        ),
    )


def _model(inputs: ModelInputs, data: Mapping[str, Any], failures: tuple[Failure, ...]) -> Model:
    imported, lowered, checked = (data.get(role) or {} for role in ("import", "lower", "check"))
    nodes = mapping.nodes(lowered, checked.get("units") or {})
    tensors = {tensor["name"]: tensor for tensor in (data.get("quantize") or {}).get("tensors") or ()}
    fidelity = Fidelity(**data["fixed"]) if "fixed" in data else None
    return Model(
        name=inputs.name,
        id=inputs.id,
        version=inputs.version,
        source=imported.get("source"),
        inputs=tuple(_port(port, tensors, inputs) for port in imported.get("inputs") or ()),
        outputs=tuple(_port(port, tensors, None) for port in imported.get("outputs") or ()),
        passes=(*(imported.get("passes") or ()), *(lowered.get("passes") or ())),
        differences={
            stage: source["difference"]
            for stage, source in (("normalise", imported), ("lower", lowered))
            if source.get("difference")
        },
        nodes=nodes,
        layers=mapping.layers(imported.get("layers") or (), nodes),
        tail=tuple(Removed(**node) for node in (lowered.get("tail") or {}).get("removed") or ()),
        findings=_findings(inputs, data),
        performance=_performance(data, fidelity) if "evaluate" in data else None,
        quantization=_quantization(data["quantize"]) if "quantize" in data else None,
        fidelity=fidelity,
        hardware=Hardware(**data["hardware"]) if "hardware" in data else None,
        memory=_sizes(data["compile"].get("memory")) if "compile" in data else None,
        memory_plan=plan_of(data.get("compile") or {}),
        batch=_batch(data.get("compile") or {}),
        failures=failures,
    )


def _findings(inputs: ModelInputs, data: Mapping[str, Any]) -> list[Any] | None:
    """All of them, but what a build tells and the manifest ignores."""
    roles = ("check", "calibration", "result", "compile")
    listed = [*((data.get(role) or {}).get("findings") for role in roles), _differences(data)]
    found = [
        finding
        for findings in listed
        for finding in findings or ()
        if not (CODES[finding["code"]].told and any(covers(entry, finding) for entry in inputs.ignore))
    ]
    return found if listed[0] is not None or found else None


def _differences(data: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What the program counts otherwise than was predicted."""
    if "evaluate" not in data or (data.get("compile") or {}).get("cycles") is None:
        return []
    found = predicted.differences(data["evaluate"], data["compile"], data.get("quantize") or {})
    return [finding.to_json() for finding in found]


def _quantization(quantize: Mapping[str, Any]) -> Quantization:
    return Quantization(**{**quantize, "widths": widths(quantize)})


def _performance(data: Mapping[str, Any], fidelity: Fidelity | None) -> Performance:
    evaluated = data.get(BUILT) or data["evaluate"]
    units = (data.get("check") or {}).get("units")
    return Performance(
        **{
            **evaluated,
            "nodes_on_cpu": None if units is None else sum(unit == "cpu" for unit in units.values()),
            "is_kmodel": "kmodel" in (evaluated.get("memory") or {}),
            "caveat": caveat(data.get("quantize") or {}, evaluated),
            "memory": _sizes(evaluated.get("memory")),
            "layers": layers.rows(evaluated.get("layers") or (), fidelity),
            "packing": (evaluated.get("weight_compress") or {}).get("because") or "",
            "utilisation": evaluated.get("mac_utilisation"),
        }
    )


def _port(port: Mapping[str, Any], tensors: Mapping[str, Any], inputs: ModelInputs | None) -> Port:
    tensor = tensors.get(port["name"]) or {}
    declared = inputs.preprocess.get(port["name"]) if inputs is not None else None
    in_model = inputs.in_model.get(port["name"]) if inputs is not None else None
    ranges: tuple[tuple[float, float], ...] = ()
    if declared is not None:
        declared = to_json(from_settings(declared))
        ranges = resulting_range(from_settings(in_model or declared))
    return Port(
        **{**port, "scale": tensor.get("scale"), "zero_point": tensor.get("zero_point")},
        preprocess=declared,
        in_model=in_model,
        ranges=ranges,
    )


def _batch(compiled: Mapping[str, Any]) -> Batch | None:
    found = compiled.get("batch") or {}
    return Batch(**found) if found.get("desired") is not None else None


def _sizes(memory: Mapping[str, Any] | None) -> dict[str, int]:
    """The entries that are numbers of bytes."""
    return {key: value for key, value in (memory or {}).items() if isinstance(value, int)}
