"""Stage `lower`: the recipe's passes for this chip, held against the normalised model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelbuild.build.action import Resources
from modelbuild.stages.request import ModelRequest, Source

if TYPE_CHECKING:
    from modelbuild.graph.edits.tail import Split

VERSION = "5"
LIBRARIES = ("numpy", "onnx", "onnxruntime")
RESOURCES = Resources(memory=256 << 20, memory_per_input_byte=5.5, counted=("model",))


def inputs(request: ModelRequest) -> dict[str, Source]:
    """The normalised model."""
    return {"model": request.output("normalise", "model.onnx")}


def parameters(request: ModelRequest) -> dict[str, Any]:
    """The passes to run: the recipe's, less `optimize.skip` or only `optimize.only`. With `tail: auto` the
    recipe, for its operator rules."""
    tail = {"tail": request.recipe} if request.tail else {}
    return {"passes": request.lowering, **tail}


def unkeyed(request: ModelRequest) -> dict[str, Any]:
    """Whether the guard runs after each pass."""
    return request.watching


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
    graph, results = run_passes(source, parameters["passes"], parameters.get("paranoid", False))
    advice = "leave the pass out with `optimize: {skip: [...]}`, and report it with the model"
    difference = guard.check(source, graph, what="lower", advice=advice)
    tail = None
    if "tail" in parameters:
        recipe = validated(Recipe, parameters["tail"])
        tail = split(graph, recipe)
        graph = tail.chip
        onnx_io.write(tail.post, out / "post.onnx")
    onnx_io.write(graph, out / "model.onnx")
    write_json(
        out / "lower.json",
        {
            "passes": [result.to_json() for result in results],
            "difference": difference.to_json(),
            "nodes": [{"name": n.name, "op": n.op, "origin": list(n.origin)} for n in graph.nodes],
            **({} if tail is None else {"tail": _told(tail, recipe.chip)}),
        },
    )


def _told(tail: Split, chip: str) -> dict[str, Any]:
    """The object `tail` of lower.json; `finding` is what `check` says of it, if there is a tail."""
    finding = tail.finding(chip)
    return {**tail.to_json(), "finding": None if finding is None else finding.to_json()}
