"""Stage `edit`: what the manifest's `edit:` asks of the graph, before anything else looks at it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modelbuild.stages.request import ModelRequest, Source

VERSION = "1"
LIBRARIES = ("numpy", "onnx")


def inputs(request: ModelRequest) -> dict[str, Source]:
    """The imported model."""
    return {"model": request.output("import_source", "model.onnx")}


def parameters(request: ModelRequest) -> dict[str, Any]:
    """The list of edits, in order."""
    return {"edits": list(request.edit)}


def run(inputs: Mapping[str, Path], parameters: Mapping[str, Any], out: Path) -> None:
    """Leaves `model.onnx`."""
    from modelbuild.graph import edit, onnx_io

    onnx_io.write(edit.apply(onnx_io.read(inputs["model"]), parameters["edits"]), out / "model.onnx")
