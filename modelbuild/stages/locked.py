"""Stage `locked`: a package's files against their digests in modelbuild.lock; what differs is not shipped.

Where models are measured again, what the simulator found counts, too."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelbuild.build.action import FileInput, OutputOf, Resources
from modelbuild.stages.quantize import EXPORT, SCHEME_FILE
from modelbuild.stages.request import PackageRequest, Source

if TYPE_CHECKING:
    from modelbuild.errors import Problem

VERSION = "2"
LIBRARIES = ()
RESOURCES = Resources(memory=64 << 20)
SHIPPED = "shipped/"  # role prefix of the files of dist/ that are not in package.json
HARDWARE = "hardware/"  # of what the simulator found of a model
MEASUREMENTS = "measurements/"  # of what was locked of it


def inputs(request: PackageRequest) -> dict[str, Source]:
    """The package's own list of its files, and those that go beside it; what was measured again, if asked."""
    found: dict[str, Source] = {"package": request.output("package", "package.json")}
    for packaged in request.models:
        model = packaged.request
        found.update({f"{SHIPPED}{name}": source for name, source in beside(request, model.model).items()})
        if model.remeasured is not None:
            assert model.measurements is not None
            found[f"{HARDWARE}{model.model}"] = request.output(
                "verify_hardware", "hardware.json", model.model
            )
            found[f"{MEASUREMENTS}{model.model}"] = FileInput(model.measurements)
            found[f"remeasured/{model.model}"] = model.output("remeasure", "remeasured.json")
    return found


def beside(request: PackageRequest, name: str) -> dict[str, OutputOf]:
    """File of dist/ -> where it comes from, of what a model has there beside the package itself."""
    model = next(packaged.request for packaged in request.models if packaged.request.model == name)
    found = {f"{name}.json": request.output("package", f"models/{name}.json")}
    if request.keys is not None:
        return found  # weights are not shipped beside a file that hides them
    found[f"{name}.fixed.onnx"] = model.fixed()
    if not model.is_fixed and model.has_record:
        found[f"{name}.quant.txt"] = model.output("quantize", "quant.txt")
        if EXPORT in model.settings["quantize"]:
            found[f"{name}.{SCHEME_FILE}"] = model.output("quantize", SCHEME_FILE)
    return found


def parameters(request: PackageRequest) -> dict[str, Any]:
    """The digests that the files must have."""
    assert request.locked_files is not None
    return {"files": dict(request.locked_files)}


def run(inputs: Mapping[str, Path], parameters: Mapping[str, Any], out: Path) -> None:
    """Leaves `locked.json`, or fails (exit 1) naming each file and figure that came out otherwise."""
    from modelbuild.build.canonical import sha256_of_file
    from modelbuild.errors import EXIT_FAILED, ModelbuildError, Problem
    from modelbuild.stages.files import read_json, write_json

    package = read_json(inputs["package"])
    listed = (*package["files"], *package.get("after_chip", ()))
    found = {file["path"]: file["sha256"] for file in listed}
    for role, path in inputs.items():
        if role.startswith(SHIPPED):
            found[role.removeprefix(SHIPPED)] = sha256_of_file(path)
    wanted = parameters["files"]
    problems = [
        Problem(
            f"this machine made other bytes: {name}",
            where="modelbuild.lock",
            why=f"locked {wanted.get(name, 'none')}, made {found.get(name, 'none')}",
            advice="see in git (diff, log -p) whether `packages` in it was edited or merged by hand: then "
            "`modelbuild lock` writes it anew. If not, sources, recipes, toolchain and records are the "
            "locked ones, and this is a fault of modelbuild or of a library: hold `libraries` in "
            "modelbuild.lock against what is installed here, and report it",
        )
        for name in sorted(wanted.keys() | found.keys())
        if wanted.get(name) != found.get(name)
    ]
    problems += _of_hardware(inputs)
    if problems:
        raise ModelbuildError.of(problems, EXIT_FAILED)
    write_json(out / "locked.json", found)


def _of_hardware(inputs: Mapping[str, Path]) -> Iterator[Problem]:
    """Figures of the simulator that are not the locked ones, where both were measured: none has a tolerance,
    for cycles hang on the program alone."""
    from modelbuild.errors import Problem
    from modelbuild.stages.files import read_json

    for role, path in inputs.items():
        if not role.startswith(HARDWARE):
            continue
        model = role.removeprefix(HARDWARE)
        place = inputs[f"{MEASUREMENTS}{model}"]
        before, now = read_json(place).get("hardware", {}), read_json(path)
        for key in ("equal", "cycles"):
            if None not in (before.get(key), now[key]) and before[key] != now[key]:
                yield Problem(
                    f"{key} of {model} in the simulator is {json.dumps(now[key])} on this machine",
                    where=str(place),
                    why=f"locked is {json.dumps(before[key])}",
                    advice="the program is the locked one, so this is a fault of modelbuild or of a library: "
                    "report it; `modelbuild lock` takes the new figures over",
                )
