"""Stage `import_source`: the source file, whatever its format, as an ONNX model with static shapes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modelbuild.build.action import FileInput
from modelbuild.stages.request import ModelRequest, Source

VERSION = "1"
LIBRARIES = ("numpy", "onnx")
DISCOVER = "modelbuild.stages.import_source:discover"


def inputs(request: ModelRequest) -> dict[str, Source]:
    """The source; external data is discovered."""
    return {"source": FileInput(request.source)}


def parameters(request: ModelRequest) -> dict[str, Any]:
    """Declared shapes, and what to call the source in messages."""
    return {"shapes": request.shapes, "suffix": Path(request.source).suffix.lower(), "name": request.model}


def discover(inputs: Mapping[str, Path], parameters: Mapping[str, Any]) -> list[Path]:
    """Files that the source names: ONNX external data."""
    from modelbuild.importers import IMPORTERS

    return list(IMPORTERS[parameters["suffix"]].discover(inputs["source"]))


def run(inputs: Mapping[str, Path], parameters: Mapping[str, Any], out: Path) -> None:
    """Leaves `model.onnx` and `source.json`."""
    from modelbuild.graph import onnx_io
    from modelbuild.importers import IMPORTERS
    from modelbuild.stages.files import write_json

    shapes = {name: tuple(shape) for name, shape in parameters["shapes"].items()}
    graph = IMPORTERS[parameters["suffix"]].load(inputs["source"], shapes)
    onnx_io.write(graph, out / "model.onnx")
    described = {
        "format": parameters["suffix"].removeprefix("."),
        "nodes": len(graph.nodes),
        "metadata": dict(sorted(graph.metadata.items())),
    }
    write_json(out / "source.json", described)
