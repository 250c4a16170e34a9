"""What was measured of one built model in its package, in one value: for tables and summaries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelbuild.artifacts.pictures import pictures
from modelbuild.build.result import BuildResult
from modelbuild.npu.program.command import interface
from modelbuild.project.project import Project
from modelbuild.report.verdict import judge
from modelbuild.stages.files import read_json
from modelbuild.stages.request import ModelRequest, PackageRequest


@dataclass(frozen=True)
class Measured:
    """SNR in dB of each output, fixed against float (empty without samples); bytes of the package's files;
    cycles of a run of the compiled program and, with them at the chip's clock, ms of one inference (of as
    many pictures as the model's own dimension 0) with CPU nodes; cycles are None of a chip without NPU; the
    ms that `evaluate` predicts, None for a fixed-point source; top-1 of the fixed model where samples are
    labelled; and the bounds of `accept:` that do not hold."""

    snr_db: Mapping[str, float]
    size: int
    cycles: int | None
    time_ms: float | None
    evaluated_ms: float | None
    top1: float | None
    cpu_nodes: int
    broken_bounds: tuple[str, ...]

    @property
    def worst_snr_db(self) -> float | None:
        """That of the worst output."""
        return min(self.snr_db.values(), default=None)


def measured(
    project: Project,
    result: BuildResult,
    request: ModelRequest,
    package: PackageRequest,
    names: Mapping[str, str],
) -> Measured:
    """Reads what a build left. `names` is what each action of the request and the package is called in it;
    those that were not planned are absent."""

    def read(action: str, name: str) -> Any:
        called = names.get(action, "")
        return read_json(project.builder.output(result, called, name)) if called in result.outputs else None

    found = {
        "fixed": read(request.action("verify_fixed"), "fixed.json"),
        "check": read(request.action("check"), "check.json"),
        "evaluate": read(request.action("evaluate"), "evaluate.json"),
        "hardware": read(package.action("verify_hardware", request.model), "hardware.json"),
    }
    known = {key: value for key, value in found.items() if value}
    predicted_ms = known.get("evaluate", {}).get("total_ms")
    if request.times_built:
        known["evaluate"] = read(request.action("compile"), "evaluate.json")
    compiled = read(request.action("compile"), "compile.json")
    layers, cycles = compiled["layers"], compiled["cycles"]
    fixed, evaluated = known.get("fixed", {}), known.get("evaluate", {})
    checks = judge(request.model, request.settings["accept"], known)
    # nodes as `accept: {cpu_nodes}` counts them; of a fixed-point source there are but the program's layers
    units = known["check"]["units"].values() if "check" in known else [layer["unit"] for layer in layers]
    time_ms = evaluated.get("total_ms")
    if "times" in compiled:
        time_ms = compiled["times"]["time_ms"]
    elif cycles is not None:
        program = project.builder.output(result, names[request.action("compile")], "command.bin")
        clock = request.recipe["hardware"]["clock_hz"]["value"]
        time_ms = cycles / _inferences(program) / clock * 1000 + evaluated.get("cpu_time_ms", 0.0)
    return Measured(
        snr_db={one["name"]: one["snr_db"] for one in fixed.get("outputs", ()) if one["snr_db"] is not None},
        size=sum(file["size"] for file in read(package.action("package"), "package.json")["files"]),
        cycles=cycles,
        time_ms=time_ms,
        evaluated_ms=predicted_ms,
        top1=((fixed.get("accuracy") or {}).get("fixed") or {}).get("top1"),
        cpu_nodes=sum(unit == "cpu" for unit in units),
        broken_bounds=tuple(check.check for check in checks if not check.passed),
    )


def _inferences(program: Path) -> float:
    """How often a run does what the model does once: by its batch, and the model's own dimension 0."""
    found = pictures(interface(program.read_bytes()))
    return 1.0 if found is None else found.wide / found.own
