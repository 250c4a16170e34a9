"""Stage `evaluate`: the time the chip will take, predicted from the recipe's facts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modelbuild.stages.request import ModelRequest, Source

VERSION = "1"
LIBRARIES = ("numpy", "onnx")


def inputs(request: ModelRequest) -> dict[str, Source]:
    """The lowered model and where its nodes run."""
    return {
        "model": request.output("lower", "model.onnx"),
        "check": request.output("check", "check.json"),
        "errors": request.output("check", "errors.json"),
    }


def parameters(request: ModelRequest) -> dict[str, Any]:
    """The recipe, for its hardware facts."""
    return {"recipe": request.recipe, "model": request.model}


def run(inputs: Mapping[str, Path], parameters: Mapping[str, Any], out: Path) -> None:
    """Leaves `evaluate.json`."""
    from modelbuild.chips.recipe import Recipe
    from modelbuild.graph import onnx_io
    from modelbuild.npu.cost import evaluate
    from modelbuild.stages.check import read_units, refuse_errors
    from modelbuild.stages.files import validated, write_json

    refuse_errors(inputs["errors"])
    graph = onnx_io.read(inputs["model"])
    predicted = evaluate(graph, read_units(inputs["check"]), validated(Recipe, parameters["recipe"]))
    write_json(out / "evaluate.json", {**predicted, "model": parameters["model"]})
