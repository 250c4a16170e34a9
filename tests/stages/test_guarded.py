"""A stage that rewrites a model stops the build where the numbers change, and leaves no model."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from modelbuild.errors import ModelbuildError
from modelbuild.graph.model import Graph
from modelbuild.graph.passes import LOWERING, NORMALISE
from modelbuild.importers import onnx
from tests.stages.built import Built


def negate_a_weight(graph: Graph) -> None:
    """As a pass with a wrong sign would."""
    node = next(node for node in graph.nodes if node.op in {"Conv", "Gemm"})
    weight = graph.constants[node.inputs[1]]
    graph.constants[node.inputs[1]] = -weight  # type: ignore[operator]


def break_pass(monkeypatch: pytest.MonkeyPatch, module: ModuleType) -> None:
    """The pass does its work and negates a weight, once."""
    original, left = module.run, [1]

    def broken(graph: Graph) -> int:
        changes = int(original(graph))
        if left.pop() if left else 0:
            negate_a_weight(graph)
            return changes + 1
        return changes

    monkeypatch.setattr(module, "run", broken)


def failure(built: Built, action: str, out: Path, **parameters: Any) -> ModelbuildError:
    with pytest.raises(ModelbuildError) as caught:
        built.run(action, out, parameters=parameters)
    assert list(out.iterdir()) == []
    return caught.value


def assert_names(error: ModelbuildError, what: str) -> None:
    assert error.exit_code == 1
    (problem,) = error.problems
    assert problem.what.startswith(f"{what} changed the model: output `scores` differs by ")
    assert problem.why == "at most 0.0001 is allowed"
    assert problem.advice


@pytest.mark.parametrize("name", ["fold_constants", "remove_dead_nodes"])
def test_normalise(built: Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    break_pass(monkeypatch, NORMALISE[name])
    assert_names(failure(built, "small:normalise", tmp_path), "normalise")


@pytest.mark.parametrize("name", ["gemm_to_conv", "split_to_slice"])
def test_lower(built: Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """The advice is what the user can do: leave the pass out."""
    break_pass(monkeypatch, LOWERING[name])
    error = failure(built, "small@nef:lower", tmp_path, passes=[name])
    assert_names(error, "lower")
    assert "optimize: {skip: [...]}" in error.problems[0].advice


def test_import_source(built: Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right = onnx.load

    def load(path: Path, shapes: Mapping[str, Any] | None, edits: Sequence[Any]) -> Graph:
        graph = right(path, shapes, edits)
        negate_a_weight(graph)
        return graph

    monkeypatch.setattr(onnx, "load", load)
    assert_names(failure(built, "small:import_source", tmp_path), "the import")


def test_what_is_right_passes_and_the_difference_is_told(built: Built, tmp_path: Path) -> None:
    for action, name in (("small:normalise", "import.json"), ("small@nef:lower", "lower.json")):
        out = built.run(action, tmp_path / name)
        difference = json.loads((out / name).read_bytes())["difference"]
        assert difference["bound"] == 1e-4
        assert [output["name"] for output in difference["outputs"]] == ["scores"]
        assert difference["outputs"][0]["error"] <= 1e-6
