"""Stage `observe`: run the float model over the calibration samples and keep what its tensors held."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modelbuild.build.action import Resources
from modelbuild.stages.request import ModelRequest, Source

VERSION = "2"
LIBRARIES = ("numpy", "onnx", "onnxruntime", "pillow")


def inputs(request: ModelRequest) -> dict[str, Source]:
    """The lowered model and the calibration files; `check`'s errors, so that hopeless models cost nothing."""
    assert request.calibration is not None
    return {
        "model": request.output("lower", "model.onnx"),
        "errors": request.output("check", "errors.json"),
        **request.calibration.roles(),
    }


def parameters(request: ModelRequest) -> dict[str, Any]:
    """Preprocessing and the number of samples; neither number format nor range method."""
    assert request.calibration is not None
    return {"preprocess": request.preprocess, "samples": len(request.calibration.files)}


def resources(request: ModelRequest) -> Resources:
    """All tensors of one sample and the weights."""
    memory = (128 << 20) + request.activations
    return Resources(memory=memory, memory_per_input_byte=4.0, counted=("model",))


def run(inputs: Mapping[str, Path], parameters: Mapping[str, Any], out: Path) -> None:
    """Leaves `observations.npz`."""
    from modelbuild.graph import onnx_io
    from modelbuild.quantize.observe import observe
    from modelbuild.stages.check import refuse_errors
    from modelbuild.stages.files import read_samples

    refuse_errors(inputs["errors"])
    graph = onnx_io.read(inputs["model"])

    rounds = iter(range(2))

    def samples() -> Any:
        count, preprocess = parameters["samples"], parameters["preprocess"]
        return read_samples(inputs, count, graph, preprocess, rounds=(next(rounds), 2))

    observe(graph, samples).save(out / "observations.npz")
