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
    """Leaves `check.json`. Findings never fail this stage: `require` does, where work depends on them."""
    from modelbuild.chips.recipe import Recipe
    from modelbuild.graph import onnx_io
    from modelbuild.graph.check import place
    from modelbuild.stages.files import validated, write_json

    placement = place(onnx_io.read(inputs["model"]), validated(Recipe, parameters["recipe"]))
    write_json(
        out / "check.json",
        {"findings": [f.to_json() for f in placement.findings], "units": dict(placement.units)},
    )


def require(check: Path) -> dict[str, str]:
    """The units, for a stage that can only go on when the chip runs every node."""
    from modelbuild.errors import EXIT_FAILED, ModelbuildError, Problem
    from modelbuild.stages.files import read_json

    checked = read_json(check)
    problems = [
        Problem(
            finding["message"],
            where=f"node {finding['node']}" if finding["node"] else "",
            advice=finding["advice"],
            code=finding["code"],
        )
        for finding in checked["findings"]
        if finding["severity"] == "error"
    ]
    if problems:
        raise ModelbuildError.of(problems, EXIT_FAILED)
    units: dict[str, str] = checked["units"]
    return units
