"""Stage `import_fixed`: a fixed-point model of ours as a source; nothing is imported or quantized again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modelbuild.build.action import Resources
from modelbuild.stages.request import ModelRequest, Source

VERSION = "1"
LIBRARIES = ("numpy", "onnx")
RESOURCES = Resources(memory=128 << 20, memory_per_input_byte=4.0)


def inputs(request: ModelRequest) -> dict[str, Source]:
    """The fixed-point model."""
    return {"source": request.source_file()}


def parameters(request: ModelRequest) -> dict[str, Any]:
    """The chip it must have been made for, and the digest that the manifest demands."""
    return {"chip": request.recipe["chip"], "model": request.model, "sha256": request.source_digest}


def run(inputs: Mapping[str, Path], parameters: Mapping[str, Any], out: Path) -> None:
    """Leaves `model.fixed.onnx`, as it came but for the model's name."""
    from dataclasses import replace

    from modelbuild.errors import ModelbuildError
    from modelbuild.quantize import fixed_onnx
    from modelbuild.stages.files import check_digest

    check_digest(inputs["source"], parameters["sha256"])
    model = fixed_onnx.read(inputs["source"])
    if model.chip != parameters["chip"]:
        raise ModelbuildError(
            f"the fixed-point model was quantized for {model.chip}, not for {parameters['chip']}",
            where=f"model {parameters['model']}",
            why="each chip has its own number format and units",
            advice="name the float model as `source:` and let modelbuild quantize it for this chip",
        )
    fixed_onnx.write(replace(model, name=parameters["model"]), out / "model.fixed.onnx")
