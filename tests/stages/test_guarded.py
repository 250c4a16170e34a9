"""A stage that rewrites a model stops the build where the numbers change, and leaves no model."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from modelbuild.chips.load import load_recipe
from modelbuild.errors import ModelbuildError
from modelbuild.graph import guard, onnx_io
from modelbuild.graph.after_chip import joined
from modelbuild.graph.edits.tail import Split, split
from modelbuild.graph.model import Graph
from modelbuild.graph.normalise import normalise
from modelbuild.graph.passes import LOWERING, NORMALISE, run_passes
from modelbuild.graph.rewrite import Editor, copied
from modelbuild.importers import onnx
from modelbuild.stages import guarded
from tests.graph import small
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

    def load(
        path: Path,
        shapes: Mapping[str, Any] | None,
        edits: Sequence[Any],
        weights: Path | None = None,
    ) -> Graph:
        graph = right(path, shapes, edits, weights)
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


@pytest.mark.parametrize("name", ["fold_constants", "gemm_to_conv"])
def test_paranoid_names_the_pass(
    built: Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    action, table = ("small:normalise", NORMALISE) if name in NORMALISE else ("small@nef:lower", LOWERING)
    break_pass(monkeypatch, table[name])
    passes = {} if name in NORMALISE else {"passes": [name]}
    error = failure(built, action, tmp_path, paranoid=True, **passes)
    assert_names(error, f"the pass {name}")
    assert ("optimize: {skip: [gemm_to_conv]}" in error.problems[0].advice) == (name == "gemm_to_conv")


def test_what_only_the_user_s_samples_show(
    built: Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pass that limits values far beyond random ones is found by the samples, and named."""
    source = onnx_io.read(built.path("small:import_source", "model.onnx"))
    module = LOWERING["gemm_to_conv"]
    original = module.run

    def broken(graph: Graph) -> int:
        done, name = original(graph), graph.inputs[0]
        readers = [node for node in graph.nodes if name in node.inputs]
        if done and readers:
            editor = Editor(graph)
            bounds = [editor.add_constant("bound", np.array(value, np.float32)) for value in (-50, 50)]
            limited = editor.tensor("limited", graph.shapes[name])
            editor.insert(graph.nodes[0], "Clip", [name, *bounds], [limited])
            for node in readers:
                editor.set_inputs(node, [limited if item == name else item for item in node.inputs])
            editor.close()
        return int(done)

    monkeypatch.setattr(module, "run", broken)
    optimize = {"skip": [], "passes": ["gemm_to_conv"]}
    lowered, _ = run_passes(normalise(source)[0], optimize["passes"])
    guard.check(source, lowered)
    ramp = np.linspace(-200, 200, lowered.shapes["image"][-1], dtype=np.float32)
    sample = {"image": np.broadcast_to(ramp, lowered.shapes["image"]).astype(np.float32)}
    with pytest.raises(ModelbuildError) as caught:
        guarded.check(source, lowered, [sample], optimize)
    assert_names(caught.value, "the pass gemm_to_conv")
    guarded.check(source, normalise(source)[0], [sample], {"skip": [], "passes": []})


def test_a_difference_on_the_user_s_samples_is_not_measured_by_the_range_of_others() -> None:
    """A sample of [0, 1] shows 3 parts of 10,000; random numbers reach five times as far."""
    shape = (1, 3, 64, 64)
    source = small.graph([("Relu", "x", "y")], x=shape)
    lowered = small.graph([("Relu", "x", "r"), ("Add", "r c", "y")], {"c": np.float32(3e-4)}, x=shape)
    sample = {"x": np.random.default_rng(0).random((1, 3, 64, 64), np.float32)}
    with pytest.raises(ModelbuildError, match="the passes together changed the model: output `y`"):
        guarded.check(source, lowered, [sample], {"skip": [], "passes": []})


def test_observing_holds_the_lowered_model_against_the_import(built: Built, tmp_path: Path) -> None:
    graph = onnx_io.read(built.path("small@nef:lower", "model.onnx"))
    negate_a_weight(graph)
    onnx_io.write(graph, tmp_path / "wrong.onnx")
    with pytest.raises(ModelbuildError, match="the passes together changed the model: output `scores`"):
        built.run("small@nef:observe", tmp_path / "out", {"model": tmp_path / "wrong.onnx"})


def in_two_parts(built: Built, folder: Path) -> tuple[Split, dict[str, Path]]:
    """The lowered model parted before its Gemm, which makes the only output: as files for `observe`."""
    recipe = load_recipe("kl520")
    recipe = recipe.model_copy(update={"operators": [r for r in recipe.operators if r.op != "Gemm"]})
    parts = split(onnx_io.read(built.path("small@old:lower", "model.onnx")), recipe)
    assert "scores" not in parts.chip.outputs and parts.post.nodes
    files = {"model": folder / "chip.onnx", "post": folder / "post.onnx"}
    for role, graph in (("model", parts.chip), ("post", parts.post)):
        onnx_io.write(graph, files[role])
    return parts, files


def test_observing_holds_both_parts_together_against_the_import(built: Built, tmp_path: Path) -> None:
    """With `tail: auto` all outputs may come from the part after the chip."""
    parts, files = in_two_parts(built, tmp_path)
    built.run("small@old:observe", tmp_path / "out", files)
    assert (tmp_path / "out" / "observations.npz").exists()
    for part, role in ((parts.chip, "model"), (parts.post, "post")):
        wrong = copied(part)
        negate_a_weight(wrong)
        onnx_io.write(wrong, tmp_path / "wrong.onnx")
        with pytest.raises(ModelbuildError, match="the passes together changed the model: output `scores`"):
            built.run("small@old:observe", tmp_path / role, {**files, role: tmp_path / "wrong.onnx"})


def test_an_input_that_neither_part_reads_is_no_obstacle() -> None:
    """The import keeps inputs that nothing reads; `tail: auto` leaves them out of both parts."""
    steps = [("Relu", "x", "a"), ("Softmax", "a", "y", {"axis": -1})]
    source = small.graph(steps, x=(1, 2, 4, 4), unread=(1, 3))
    parts = split(source, load_recipe("kl520"))
    assert parts.chip.inputs == ["x"] and parts.post.nodes
    whole, sample = joined(parts.chip, parts.post), {"x": small.numbers(1, 2, 4, 4)}
    guarded.check(source, whole, [sample], {"skip": [], "passes": []})
    whole.nodes[1].op, whole.nodes[1].attributes = "Neg", {}
    with pytest.raises(ModelbuildError, match="output `y`"):
        guarded.check(source, whole, [sample], {"skip": [], "passes": []})
