"""Stage `verify_fixed`: measure the fixed-point model against the float one. Measures, never judges."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modelbuild.stages.request import ModelRequest, Source

VERSION = "1"
LIBRARIES = ("numpy", "onnx", "onnxruntime", "pillow")


def inputs(request: ModelRequest) -> dict[str, Source]:
    """Both forms of the model and the evaluation files."""
    assert request.evaluation is not None
    return {
        "float": request.output("lower", "model.onnx"),
        "fixed": request.fixed(),
        **request.evaluation.roles(),
    }


def parameters(request: ModelRequest) -> dict[str, Any]:
    """Preprocessing, labels, and what the evaluation set is to be called."""
    samples = request.evaluation
    assert samples is not None
    return {
        "preprocess": request.preprocess,
        "samples": len(samples.files),
        "labels": None if samples.labels is None else list(samples.labels),
        "evaluation": samples.name,
        "optimistic": samples.optimistic,
    }


def run(inputs: Mapping[str, Path], parameters: Mapping[str, Any], out: Path) -> None:
    """Leaves `fixed.json`."""
    from modelbuild.graph import onnx_io
    from modelbuild.quantize import fixed_onnx
    from modelbuild.quantize.verify import verify
    from modelbuild.stages.files import read_samples, write_json

    graph = onnx_io.read(inputs["float"])
    samples = read_samples(inputs, parameters["samples"], graph, parameters["preprocess"])
    measured = verify(fixed_onnx.read(inputs["fixed"]), graph, samples, parameters["labels"])
    evaluated_on = {"evaluation": parameters["evaluation"], "optimistic": parameters["optimistic"]}
    write_json(out / "fixed.json", {**measured, **evaluated_on})
