"""Stage `lower`: the recipe's passes for this chip, held against the normalised model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modelbuild.build.action import Resources
from modelbuild.stages.request import ModelRequest, Source

VERSION = "2"
LIBRARIES = ("numpy", "onnx", "onnxruntime")
RESOURCES = Resources(memory=256 << 20, memory_per_input_byte=5.5, counted=("model",))


def inputs(request: ModelRequest) -> dict[str, Source]:
    """The normalised model."""
    return {"model": request.output("normalise", "model.onnx")}


def parameters(request: ModelRequest) -> dict[str, Any]:
    """The passes to run: the recipe's, less `optimize.skip` or only `optimize.only`. With `tail: auto` the
    recipe, for its operator rules."""
    optimize = request.settings.get("optimize") or {}
    skip, only = set(optimize.get("skip") or ()), optimize.get("only")
    chosen = [
        name for name in request.recipe["passes"] if name not in skip and (only is None or name in only)
    ]
    return {"passes": chosen, **({"tail": request.recipe} if request.tail else {})}


def run(inputs: Mapping[str, Path], parameters: Mapping[str, Any], out: Path) -> None:
    """Leaves `model.onnx` and `lower.json`; a difference from the normalised model fails the build. With
    `tail: auto`, `model.onnx` is the part on the chip, and `post.onnx` what follows it: without a node where
    the NPU runs everything."""
    from modelbuild.chips.recipe import Recipe
    from modelbuild.graph import guard, onnx_io
    from modelbuild.graph.edits.tail import split
    from modelbuild.graph.passes import run_passes
    from modelbuild.stages.files import validated, write_json

    source = onnx_io.read(inputs["model"])
    graph, results = run_passes(source, parameters["passes"])
    advice = "leave the pass out with `optimize: {skip: [...]}`, and report it with the model"
    difference = guard.check(source, graph, what="lower", advice=advice)
    tail = None
    if "tail" in parameters:
        tail = split(graph, validated(Recipe, parameters["tail"]))
        graph = tail.chip
        onnx_io.write(tail.post, out / "post.onnx")
    onnx_io.write(graph, out / "model.onnx")
    write_json(
        out / "lower.json",
        {
            "passes": [result.to_json() for result in results],
            "difference": difference.to_json(),
            "nodes": [{"name": n.name, "op": n.op, "origin": list(n.origin)} for n in graph.nodes],
            **({} if tail is None else {"tail": tail.to_json()}),
        },
    )
