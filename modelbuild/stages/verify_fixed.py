"""Stage `verify_fixed`: measure the fixed-point model against the float one. Measures, never judges.

In a locked build the locked measurements stand for it: no sample is read, and nothing is run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modelbuild.build.action import FileInput, Resources
from modelbuild.stages import accuracy
from modelbuild.stages.request import ModelRequest, Samples, Source

VERSION = "5"
LIBRARIES = ("numpy", "onnx", "onnxruntime", "pillow")


def inputs(request: ModelRequest) -> dict[str, Source]:
    """Both forms of the model and the evaluation files, or what was measured and locked."""
    if request.measurements is not None:
        return {"measurements": FileInput(request.measurements)}
    assert request.evaluation is not None
    return {
        "float": request.output("lower", "model.onnx"),
        "fixed": request.fixed(),
        **request.after_chip(),
        **accuracy.inputs(request),
        **request.evaluation.roles(),
    }


def parameters(request: ModelRequest) -> dict[str, Any]:
    """Preprocessing, labels, measures of the user's, and what the evaluation set is to be called."""
    if request.measurements is not None:
        return {}
    assert request.evaluation is not None
    return of_samples(request, request.evaluation)


def of_samples(request: ModelRequest, samples: Samples) -> dict[str, Any]:
    """The parameters of `measure` on these samples."""
    return {
        "preprocess": request.preprocess,
        "samples": len(samples.files),
        "labels": accuracy.classes(samples),
        **accuracy.parameters(request, samples),
        "evaluation": samples.name,
        "optimistic": samples.optimistic,
    }


def unkeyed(request: ModelRequest) -> dict[str, Any]:
    """How long a call of a function of the user's may take."""
    return accuracy.unkeyed(request)


def resources(request: ModelRequest) -> Resources:
    """All tensors of one sample, in both forms of the model, and the weights."""
    memory = (128 << 20) + round(1.3 * request.activations)
    return Resources(memory=memory, memory_per_input_byte=5.0, counted=("float", "fixed"))


def run(inputs: Mapping[str, Path], parameters: Mapping[str, Any], out: Path) -> None:
    """Leaves `fixed.json`."""
    from modelbuild.stages.files import write_json

    locked = inputs.get("measurements")
    found = measure(inputs, parameters) if locked is None else {**read_locked(locked), "locked": True}
    write_json(out / "fixed.json", found)


def measure(inputs: Mapping[str, Path], parameters: Mapping[str, Any]) -> dict[str, Any]:
    """What `fixed.json` holds."""
    from modelbuild.graph import onnx_io
    from modelbuild.quantize import fixed_onnx
    from modelbuild.quantize.verify import verify
    from modelbuild.stages.files import read_after_chip, read_samples

    graph = onnx_io.read(inputs["float"])
    after = read_after_chip(inputs.get("post"))
    fed = graph if after is None else after.with_inputs(graph)
    samples = read_samples(inputs, parameters["samples"], fed, parameters["preprocess"])
    fixed = fixed_onnx.read(inputs["fixed"])
    shapes = {name: fed.shapes[name] for name in fed.inputs}
    with accuracy.opened(inputs, parameters, shapes) as measures:
        measured = verify(fixed, graph, samples, parameters["labels"], after=after, measures=measures)
    return {**measured, "evaluation": parameters["evaluation"], "optimistic": parameters["optimistic"]}


def read_locked(path: Path) -> dict[str, Any]:
    """What `fixed.json` held when the measurements were locked."""
    from modelbuild.errors import ModelbuildError
    from modelbuild.stages.files import read_json

    try:
        found = read_json(path)["fixed"]
        return {**found}
    except (KeyError, TypeError, ValueError) as error:
        raise ModelbuildError(
            "the locked measurements cannot be read",
            where=str(path),
            why=str(error),
            advice="take the file from git again, or write it again with `modelbuild lock`",
        ) from error
