"""Stage `normalise`: the chip-neutral clean-up, held against the source."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modelbuild.build.action import Resources
from modelbuild.stages.request import ModelRequest, Source

VERSION = "9"
LIBRARIES = ("numpy", "onnx", "onnxruntime")
ADVICE = "`optimize: {paranoid: true}` names the pass; report it with the model"
RESOURCES = Resources(memory=256 << 20, memory_per_input_byte=5.5, counted=("model",))


def inputs(request: ModelRequest) -> dict[str, Source]:
    """The imported model."""
    return {
        "model": request.output("import_source", "model.onnx"),
        "source": request.output("import_source", "source.json"),
    }


def parameters(request: ModelRequest) -> dict[str, Any]:
    """The inputs whose preprocessing the manifest declares: they must exist; what the model is to do of it;
    and the passes to leave out."""
    in_model = {"in_model": request.in_model} if request.in_model else {}
    return {"inputs": sorted(request.preprocess), **in_model, **request.normalising}


def unkeyed(request: ModelRequest) -> dict[str, Any]:
    """Whether the guard runs after each pass."""
    return request.watching


def run(inputs: Mapping[str, Path], parameters: Mapping[str, Any], out: Path) -> None:
    """Leaves `model.onnx` and `import.json`; a difference from the source fails the build."""
    from modelbuild.graph import guard, in_model, onnx_io
    from modelbuild.graph.normalise import normalise
    from modelbuild.importers.source import forget_layouts
    from modelbuild.samples.preprocess import from_settings
    from modelbuild.stages.files import read_json, write_json

    source = onnx_io.read(inputs["model"])
    _check_inputs(source.inputs, parameters["inputs"])
    layers = _layers(source)
    declared = {name: from_settings(given) for name, given in parameters.get("in_model", {}).items()}
    if declared:
        source = in_model.insert(source, declared)
        forget_layouts(source, in_model.laid_out(source, declared))
    graph, report = normalise(source, parameters.get("skip", ()), parameters.get("paranoid", False))
    difference = guard.check(source, graph, what="normalise", advice=ADVICE)
    onnx_io.write(graph, out / "model.onnx")
    write_json(
        out / "import.json",
        {
            "source": read_json(inputs["source"]),
            "inputs": [port(graph, name) for name in graph.inputs],
            "outputs": [port(graph, name) for name in graph.outputs],
            "layers": layers,
            "passes": [result.to_json() for result in report],
            "difference": difference.to_json(),
        },
    )


def _layers(graph: Any) -> list[dict[str, Any]]:
    """The source's layers by their own names, in order, with the operators that the import made of each."""
    found: dict[str, list[str]] = {}
    for node in graph.nodes:
        for name in node.origin:
            found.setdefault(name, []).append(node.op)
    return [{"name": name, "operators": list(dict.fromkeys(ops))} for name, ops in found.items()]


def port(graph: Any, name: str) -> dict[str, Any]:
    """An input or output as reports show it."""
    return {"name": name, "shape": list(graph.shapes[name]), "dtype": str(graph.dtypes[name])}


def _check_inputs(has: list[str], declared: list[str]) -> None:
    from modelbuild.errors import ModelbuildError, Problem, did_you_mean

    problems = [
        Problem(
            f"the model has no input `{name}`",
            where=f"inputs.{name}",
            why=f"its inputs are {', '.join(has)}",
            advice=did_you_mean(name, has),
        )
        for name in declared
        if name not in has
    ]
    if problems:
        raise ModelbuildError.of(problems)
