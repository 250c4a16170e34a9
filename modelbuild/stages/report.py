"""Stage `report`: what is known of a package, as HTML for people and JSON for programs. Always written."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modelbuild.build.action import OutputOf, Resources
from modelbuild.stages.gate import accept_of
from modelbuild.stages.request import ModelRequest, PackageRequest, Source

VERSION = "19"
LIBRARIES = ("jinja2", "pydantic")
RESOURCES = Resources(memory=64 << 20)
ALWAYS = True


def inputs(request: PackageRequest) -> dict[str, Source]:
    """None that must exist."""
    return {}


def soft_inputs(request: PackageRequest) -> dict[str, OutputOf]:
    """What every stage of every model left, or why it left nothing: role `<model>/<what>`."""
    found = {"package": request.output("package", "package.json")}
    if request.locked_files is not None:
        found["locked"] = request.output("locked", "locked.json")
    for packaged in request.models:
        name = packaged.request.model
        found.update({f"{name}/{role}": source for role, source in _of_model(packaged.request).items()})
        found[f"{name}/hardware"] = request.output("verify_hardware", "hardware.json", name)
    return found


def _of_model(request: ModelRequest) -> dict[str, OutputOf]:
    found = {"compile": request.output("compile", "compile.json")}
    if request.remeasured is not None:
        found["remeasure"] = request.output("remeasure", "remeasured.json")
    if not request.is_fixed:
        found["source"] = request.output("import_source", "source.json")
        found["apply"] = request.output("apply", "model.fixed.onnx")
        if request.has_record:
            found["result"] = request.output("check_result", "result.json")
            found["quantize"] = request.output("quantize", "quantize.json")
        if request.observes:
            found["calibration"] = request.output("check_calibration", "calibration.json")
            found["observe"] = request.output("observe", "observations.npz")
        found["import"] = request.output("normalise", "import.json")
        found["lower"] = request.output("lower", "lower.json")
        found["check"] = request.output("check", "check.json")
        found["evaluate"] = request.output("evaluate", "evaluate.json")
        if request.times_built:
            found["built"] = request.evaluated()
        if request.is_measured:
            found["fixed"] = request.output("verify_fixed", "fixed.json")
    return found


def parameters(request: PackageRequest) -> dict[str, Any]:
    """Names, bounds and declared preprocessing, and the templates' digests, for they are sources too."""
    recipe = request.recipe
    return {
        "package": {
            "name": request.package,
            "target": request.target,
            "chip": recipe["chip"],
            "vendor": recipe["vendor"],
            "description": recipe["description"],
            "format": recipe["container"]["format"],
            "toolchain": request.fingerprint,
            "project": request.project.get("name", ""),
            "project_version": request.project.get("version", ""),
            **({"silicon": True} if request.silicon else {}),
        },
        "models": [
            {
                "name": packaged.request.model,
                "id": packaged.id,
                "version": packaged.version,
                "preprocess": packaged.request.preprocess,
                "removed": packaged.request.removes,
                "has_int16": packaged.request.has_int16,
                **({"in_model": packaged.request.in_model} if packaged.request.in_model else {}),
            }
            for packaged in request.models
        ],
        "accept": accept_of(request),
        "ignore": {
            packaged.request.model: entries
            for packaged in request.models
            if (entries := packaged.request.settings["checks"]["ignore"])
        },
        "templates": request.templates,
    }


def template_digests() -> dict[str, str]:
    """Template name -> SHA-256: an edited template makes a new report."""
    import hashlib

    from modelbuild.resources import folder

    root = folder("templates")
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*.j2"))
    }


def run(inputs: Mapping[str, Path], parameters: Mapping[str, Any], out: Path) -> None:
    """Leaves `report.html` and `report.json`."""
    from modelbuild.report.build import ModelInputs, collect
    from modelbuild.report.html import render
    from modelbuild.stages.files import write_json

    models = [
        ModelInputs(
            name=model["name"],
            files=_files(inputs, f"{model['name']}/"),
            id=model["id"],
            version=model["version"],
            accept=parameters["accept"][model["name"]],
            preprocess=model["preprocess"],
            in_model=model.get("in_model", {}),
            ignore=parameters["ignore"].get(model["name"], ()),
            removed=model["removed"],
            has_int16=model["has_int16"],
        )
        for model in parameters["models"]
    ]
    package = {role: path for role, path in inputs.items() if "/" not in role}
    report = collect(parameters["package"], models, package)
    (out / "report.html").write_bytes(render(report).encode())
    write_json(out / "report.json", report.to_json())


def _files(inputs: Mapping[str, Path], prefix: str) -> dict[str, Path]:
    return {role.removeprefix(prefix): path for role, path in inputs.items() if role.startswith(prefix)}
