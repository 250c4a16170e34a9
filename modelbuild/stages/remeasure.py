"""Stage `remeasure`: measure the fixed-point model again, and hold that against the locked measurements."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from modelbuild.build.action import FileInput, Resources
from modelbuild.stages import accuracy, verify_fixed
from modelbuild.stages.request import ModelRequest, Source

VERSION = "1"
LIBRARIES = verify_fixed.LIBRARIES
# docs/lock.md says why these: what another machine's float sums and picture decoders move, and more.
DECIBELS = 0.1
LARGEST_DB = 90.0  # beyond it the float model's own rounding is what is measured
SHARE = 0.005  # of the samples, of top-1 and top-5; one sample is always allowed


def inputs(request: ModelRequest) -> dict[str, Source]:
    """Both forms of the model, the evaluation files and the locked measurements."""
    assert request.remeasured is not None and request.measurements is not None
    return {
        "float": request.output("lower", "model.onnx"),
        "fixed": request.fixed(),
        "measurements": FileInput(request.measurements),
        **request.after_chip(),
        **accuracy.inputs(request),
        **request.remeasured.roles(),
    }


def parameters(request: ModelRequest) -> dict[str, Any]:
    """As of `verify_fixed`."""
    assert request.remeasured is not None
    return verify_fixed.of_samples(request, request.remeasured)


def unkeyed(request: ModelRequest) -> dict[str, Any]:
    """How long a call of a function of the user's may take."""
    return accuracy.unkeyed(request)


def resources(request: ModelRequest) -> Resources:
    """As of `verify_fixed`."""
    return verify_fixed.resources(request)


def run(inputs: Mapping[str, Path], parameters: Mapping[str, Any], out: Path) -> None:
    """Leaves `remeasured.json`, or fails (exit 1) naming each figure outside its tolerance."""
    from modelbuild.errors import EXIT_FAILED, ModelbuildError, Problem
    from modelbuild.stages.files import write_json

    locked = verify_fixed.read_locked(inputs["measurements"])
    fresh = verify_fixed.measure(inputs, parameters)
    problems = [
        Problem(
            f"{what} is {now:.6g} on this machine",
            where=str(inputs["measurements"]),
            why=f"locked is {before:.6g}, and {allowed:.4g} is what may lie between",
            advice="see whether onnxruntime, pillow or the samples changed; "
            "`modelbuild lock` takes the new figures over",
        )
        for what, before, now, allowed in compared(locked, fresh)
        if not abs(now - before) <= allowed
    ]
    if problems:
        raise ModelbuildError.of(problems, EXIT_FAILED)
    write_json(out / "remeasured.json", fresh)


def compared(
    locked: Mapping[str, Any], fresh: Mapping[str, Any]
) -> Iterator[tuple[str, float, float, float]]:
    """What, its locked value, its value now, and how far these may be apart. NaN where one is missing."""
    yield "the number of samples", locked["samples"], fresh["samples"], 0
    before, now = ({entry["name"]: entry for entry in side["outputs"]} for side in (locked, fresh))
    for name in sorted(before.keys() | now.keys()):
        for key in ("snr_db", "snr_db_mean"):
            old, new = (_decibels(side.get(name, {}).get(key)) for side in (before, now))
            yield f"{key} of {name}", old, new, DECIBELS
    first, second = (side["accuracy"] or {} for side in (locked, fresh))
    allowed = max(SHARE, 1 / max(fresh["samples"], 1)) + 1e-9
    for form in ("float", "fixed"):
        for key in sorted(first.get(form, {}).keys() | second.get(form, {}).keys()):
            old, new = (side.get(form, {}).get(key, float("nan")) for side in (first, second))
            yield f"{key} of the {form} model", old, new, allowed
    first, second = (side.get("functions") or {} for side in (locked, fresh))
    for form in ("float", "fixed"):
        for key in sorted(first.get(form, {}).keys() | second.get(form, {}).keys()):
            old, new = (side.get(form, {}).get(key, float("nan")) for side in (first, second))
            yield f"{key} of the {form} model", old, new, allowed * max(1.0, abs(old))


def _decibels(value: float | None) -> float:
    return float("nan") if value is None else min(value, LARGEST_DB)
