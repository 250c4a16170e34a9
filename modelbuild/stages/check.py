"""Stage `check`: which unit of the chip runs each node, and what stands in the way."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modelbuild.stages.request import ModelRequest, Source

VERSION = "1"
LIBRARIES = ("numpy", "onnx")


def inputs(request: ModelRequest) -> dict[str, Source]:
    """The lowered model."""
    return {"model": request.output("lower", "model.onnx")}


def parameters(request: ModelRequest) -> dict[str, Any]:
    """The recipe, for its operator rules."""
    return {"recipe": request.recipe}


def run(inputs: Mapping[str, Path], parameters: Mapping[str, Any], out: Path) -> None:
    """Leaves `check.json`, and in `errors.json` the findings that stand in the way of everything after.

    Findings never fail this stage: a stage whose work depends on there being none asks `refuse_errors`. Of a
    model that the chip can run, `errors.json` is the same on every chip, so that what needs only that much is
    done once for all of them."""
    from modelbuild.chips.recipe import Recipe
    from modelbuild.graph import onnx_io
    from modelbuild.graph.check import place
    from modelbuild.stages.files import validated, write_json

    placement = place(onnx_io.read(inputs["model"]), validated(Recipe, parameters["recipe"]))
    findings = [finding.to_json() for finding in placement.findings]
    write_json(out / "check.json", placement.to_json())
    write_json(out / "errors.json", [finding for finding in findings if finding["severity"] == "error"])


def refuse_errors(errors: Path) -> None:
    """Raises the findings in `errors.json` (exit 1), if there are any."""
    from modelbuild.errors import EXIT_FAILED, ModelbuildError, Problem
    from modelbuild.stages.files import read_json

    problems = [
        Problem(
            finding["message"],
            where=f"node {finding['node']}" if finding["node"] else "",
            advice=finding["advice"],
            code=finding["code"],
        )
        for finding in read_json(errors)
    ]
    if problems:
        raise ModelbuildError.of(problems, EXIT_FAILED)


def read_units(check: Path) -> dict[str, str]:
    """Node -> unit, from `check.json`."""
    from modelbuild.stages.files import read_json

    units: dict[str, str] = read_json(check)["units"]
    return units
