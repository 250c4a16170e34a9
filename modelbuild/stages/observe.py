"""Stage `observe`: run the float model over the calibration samples and keep what its tensors held."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modelbuild.build.action import Resources
from modelbuild.quantize.settings import AHEAD, THREADS
from modelbuild.stages.request import ModelRequest, Source

VERSION = "19"
LIBRARIES = ("numpy", "onnx", "onnxruntime", "pillow")


def inputs(request: ModelRequest) -> dict[str, Source]:
    """The lowered model (with `tail: auto`, its two parts) and what was imported, to be held against each
    other on the first samples; the calibration files; `check`'s errors, so that hopeless models cost nothing.
    """
    assert request.calibration is not None
    return {
        "source": request.output("import_source", "model.onnx"),
        "model": request.output("lower", "model.onnx"),
        "errors": request.output("check", "errors.json"),
        **request.after_chip(),
        **request.calibration.roles(),
    }


def parameters(request: ModelRequest) -> dict[str, Any]:
    """Preprocessing and the number of samples; neither number format nor range method."""
    assert request.calibration is not None
    return {"preprocess": request.preprocess, "samples": len(request.calibration.files)}


def unkeyed(request: ModelRequest) -> dict[str, Any]:
    """The passes that made the lowered model, which tells their result already: to name the wrong one; and
    the preprocessing that is in it."""
    in_model = {"in_model": request.in_model} if request.in_model else {}
    skip = request.normalising.get("skip", [])
    return {
        "optimize": {"skip": skip, "passes": request.lowering},
        "threads": _threads(request),
        **in_model,
    }


def _threads(request: ModelRequest) -> int:
    """Samples that are run at once, which changes no byte."""
    return int(request.settings.get("quantize", {}).get("threads", THREADS))


def resources(request: ModelRequest) -> Resources:
    """All tensors of the samples run at once or not yet counted, histograms, and the weights: the
    file's, the graph's, and a session's with their gradients."""
    memory = (160 << 20) + (max(_threads(request), 2) + AHEAD) * request.activations
    return Resources(memory=memory, memory_per_input_byte=6.0, counted=("model", "source"))


def run(inputs: Mapping[str, Path], parameters: Mapping[str, Any], out: Path) -> None:
    """Leaves `observations.npz`; where a sample shows that a pass changed the model, the build fails."""
    from modelbuild.graph import after_chip, in_model, onnx_io
    from modelbuild.graph.whole_numbers import floats_of
    from modelbuild.quantize.observe import observe
    from modelbuild.samples.preprocess import from_settings
    from modelbuild.stages import guarded
    from modelbuild.stages.check import refuse_errors
    from modelbuild.stages.files import SampleFiles, first_samples

    refuse_errors(inputs["errors"])
    graph = onnx_io.read(inputs["model"])
    whole = after_chip.joined(graph, onnx_io.read(inputs["post"])) if "post" in inputs else graph
    few = first_samples(inputs, min(guarded.SAMPLES, parameters["samples"]), whole, parameters["preprocess"])
    source = onnx_io.read(inputs["source"])
    declared = {name: from_settings(given) for name, given in parameters.get("in_model", {}).items()}
    source = in_model.insert(source, declared) if declared else source
    guarded.check(source, whole, few, parameters["optimize"])

    del source, whole, few
    samples = SampleFiles(inputs, parameters["samples"], graph, parameters["preprocess"], passes=2)
    observe(floats_of(graph), samples, parameters["threads"]).save(out / "observations.npz")
