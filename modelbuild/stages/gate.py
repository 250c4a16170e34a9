"""Stage `gate`: judges a package's measurements by the manifest's bounds. Measures nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelbuild.build.action import Resources
from modelbuild.stages.request import PackageRequest, Source

if TYPE_CHECKING:
    from modelbuild.errors import Problem
    from modelbuild.report.verdict import Check

VERSION = "7"
ALWAYS = True  # it judges what is there: another package's fault is no reason not to
LIBRARIES = ()
ACCEPT = "accept"
RESOURCES = Resources(memory=64 << 20)


def measurement_sources(request: PackageRequest) -> dict[str, Source]:
    """The files that hold what was measured of each model: role `measured/<model>/<what>`."""
    found: dict[str, Source] = {}
    for packaged in request.models:
        model = packaged.request
        names = {"hardware": request.output("verify_hardware", "hardware.json", model.model)}
        if not model.is_fixed:
            names["check"] = model.output("check", "check.json")
            names["evaluate"] = model.evaluated()
            if model.has_record:
                names["quantize"] = model.output("quantize", "quantize.json")
            if model.observes:
                names["calibration"] = model.output("check_calibration", "calibration.json")
            if model.is_measured:
                names["fixed"] = model.output("verify_fixed", "fixed.json")
        found.update({f"measured/{model.model}/{name}": source for name, source in names.items()})
    return found


def inputs(request: PackageRequest) -> dict[str, Source]:
    """The package, so that nothing passes that was not built, and the measurements; of a locked build also
    that the package's files are the locked ones."""
    found: dict[str, Source] = {"package": request.output("package", "package.json")}
    if request.locked_files is not None:
        found["locked"] = request.output("locked", "locked.json")
    return {**found, **measurement_sources(request)}


def parameters(request: PackageRequest) -> dict[str, Any]:
    """The bounds of each model, and what advice depends on."""
    models = [packaged.request for packaged in request.models]
    return {
        "accept": accept_of(request),
        "has_int16": all(model.has_int16 for model in models),
        "target": request.target,
        "removed": sorted(model.model for model in models if model.removes),
    }


def unkeyed(request: PackageRequest) -> dict[str, Any]:
    """Where bounds stand in the manifest: a bound that moves is not judged again."""
    places = [
        [packaged.request.model, list(path), place]
        for packaged in request.models
        for path, place in sorted(packaged.request.bounds.items())
    ]
    return {"places": places} if places else {}


def accept_of(request: PackageRequest) -> dict[str, Any]:
    """The effective `accept:` of each model."""
    return {
        packaged.request.model: packaged.request.settings.get("accept") or {} for packaged in request.models
    }


def read_measurements(inputs: Mapping[str, Path], model: str) -> dict[str, Any]:
    """Those measurements of a model that exist."""
    from modelbuild.stages.files import read_json

    prefix = f"measured/{model}/"
    return {
        role.removeprefix(prefix): read_json(path)
        for role, path in inputs.items()
        if role.startswith(prefix) and not role.endswith(".failure")
    }


def run(inputs: Mapping[str, Path], parameters: Mapping[str, Any], out: Path) -> None:
    """Leaves `gate.json`, or fails naming every bound that does not hold."""
    from modelbuild.errors import EXIT_FAILED, ModelbuildError
    from modelbuild.report.verdict import judge
    from modelbuild.stages.files import read_json, write_json

    checks = [
        check
        for model, accept in sorted(parameters["accept"].items())
        for check in judge(model, accept, read_measurements(inputs, model))
    ]
    failed = [check for check in checks if not check.passed]
    if failed:
        raise ModelbuildError.of(_problems(failed, inputs, parameters), EXIT_FAILED)
    included = read_json(inputs["package"]).get("included")
    told = {"included": included} if included else {}  # in the package, and verified by nobody
    write_json(out / "gate.json", {"passed": True, "checks": [check.to_json() for check in checks], **told})


def _problems(
    failed: Sequence[Check], inputs: Mapping[str, Path], parameters: Mapping[str, Any]
) -> list[Problem]:
    from modelbuild.errors import Problem
    from modelbuild.report.bounds import advice, facts_of, said

    places = {(model, *path): place for model, path, place in parameters.get("places", ())}
    facts = {
        model: facts_of(
            read_measurements(inputs, model),
            {
                "removed": model in parameters["removed"],
                "has_int16": parameters["has_int16"],
                "pair": f"{model}@{parameters['target']}",
            },
        )
        for model in {check.model for check in failed}
    }
    told = advice(failed, facts)
    return [
        Problem(
            f"gate: {said(check)}",
            where=_where(check, places),
            advice=told.get(check, ""),
        )
        for check in failed
    ]


def _where(check: Check, places: Mapping[tuple[str, ...], str]) -> str:
    """The bound's place in the manifest; of a bound without one, the model."""
    for length in range(len(check.path), 0, -1):
        if place := places.get((check.model, ACCEPT, *check.path[:length])):
            return f"{place}: model {check.model}"
    return f"model {check.model}"
