"""Edits in the manifest: their one form, the files that they name, and what enters keys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from modelbuild.errors import ModelbuildError
from modelbuild.manifest import edits
from modelbuild.manifest.load import load
from modelbuild.manifest.plan import plan
from modelbuild.manifest.reads import named
from modelbuild.manifest.settings import effective

TEXT = """\
modelbuild: 1
samples: {s: {files: "x/*.npy"}}
models: {net: {source: models/net.onnx, calibration: s, EDITS}}
targets: {cam: {chip: kl720}}
packages: {p: {target: cam, models: {net: {id: 32768}}}}
"""
INSERT = "edit: [{insert: {at: a, op: Conv, weights: w/a.npz}}, {tail: auto}]"


def write(folder: Path, written: str) -> Path:
    for name in ("models/net.onnx", "x/0.npy", "w/a.npz", "w/b.npz"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"bytes")
    (folder / "models.yaml").write_text(TEXT.replace("EDITS", written), encoding="utf-8")
    return folder / "models.yaml"


def canonical(folder: Path, written: str) -> list[dict[str, Any]]:
    found = effective(load(write(folder, written)), "net", "cam").values["edit"]
    assert isinstance(found, list)
    return found


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("{remove: {types: Relu}}", "{remove: {types: [Relu]}}"),
        ("{shape: {b: [1, 2], a: [3]}}", "{shape: {a: [3], b: [1, 2]}}"),
        ("{normalize: {bias: 1.0, scale: 0.50}}", "{normalize: {scale: 0.5, bias: 1}}"),
        ("{layout: {y: NHWC, x: NCHW}}", "{layout: {x: NCHW, y: NHWC}}"),
        ("{insert: {op: Relu, at: x}}", "{insert: {at: x, op: Relu, name: }}"),
        ("{swap_channels: {order: [2, 1, 0]}}", "{swap_channels: {input: , order: [2, 1, 0]}}"),
    ],
)
def test_how_an_edit_is_written_changes_nothing(tmp_path: Path, one: str, other: str) -> None:
    first, second = (canonical(tmp_path, f"edit: [{text}]") for text in (one, other))
    assert first == second
    assert len(first) == 1


def test_an_empty_swap_is_an_edit(tmp_path: Path) -> None:
    assert canonical(tmp_path, "edit: [{swap_channels: {}}]") == [{"swap_channels": {}}]


def test_the_tail_is_the_lowering_stages_and_no_edit_of_the_import(tmp_path: Path) -> None:
    request = plan(load(write(tmp_path, "edit: [{cut: {outputs: [a]}}, {tail: auto}]"))).models["net", "cam"]
    assert request.edit == ({"cut": {"inputs": [], "outputs": ["a"]}},)
    assert request.tail


def actions(folder: Path, written: str) -> dict[str, Any]:
    return {action.name: action for action in plan(load(write(folder, written))).actions}


def test_weights_of_an_edit_are_an_input_of_the_import(tmp_path: Path) -> None:
    found = actions(tmp_path, INSERT)["net:import_source"]
    assert found.paths() == {"source": "models/net.onnx", "weights/edit/0": "w/a.npz"}
    assert found.base == "models"  # where external data of the model is looked for


def test_a_file_of_weights_that_moves_is_the_same_file(tmp_path: Path) -> None:
    one = actions(tmp_path, INSERT)["net:import_source"]
    other = actions(tmp_path, INSERT.replace("a.npz", "b.npz"))["net:import_source"]
    assert one.parameters == other.parameters
    assert one.inputs != other.inputs


def test_only_with_a_tail_do_stages_read_the_part_after_the_chip(tmp_path: Path) -> None:
    for written, expected in (("edit: [{tail: auto}]", True), ("edit: []", False)):
        found = actions(tmp_path, written)
        for name in ("net@cam:observe", "net@cam:verify_fixed", "p/net:verify_hardware"):
            assert ("post" in found[name].inputs) is expected
        assert ("tail" in found["net@cam:lower"].parameters) is expected


def test_files_that_edits_name_must_be_there_and_are_read(tmp_path: Path) -> None:
    assert ("w/a.npz", "w/a.npz") in [(path, path) for path, _ in named(load(write(tmp_path, INSERT)), None)]
    with pytest.raises(ModelbuildError) as caught:
        load(write(tmp_path, INSERT.replace("a.npz", "c.npz")))
    assert "the file of an edit's weights w/c.npz does not exist" in str(caught.value)
    assert edits.files([{"insert": {"weights": "w"}}, {"insert": {}}, edits.TAIL]) == ["w"]


CODE = "from os import path\nLIMIT: int = 3\n\n\ndef decode(outputs):\n    return 1\n"


@pytest.mark.parametrize(
    ("code", "spec", "words"),
    [
        (CODE, "post.py:decode", ""),
        (CODE, "post.py:path", ""),
        (CODE, "post.py:decoed", "post.py defines no function `decoed`"),
        ("if True:\n    def decode(o): pass\n", "post.py:decode", ""),
        ("from post2 import *\n", "post.py:decode", ""),
        ("def decode(:\n", "post.py:decode", "post.py is not Python that can be read"),
        (CODE, "post.py", "`post.py` does not name a function in a file"),
        (CODE, "pots.py:decode", "the file of a function pots.py does not exist"),
    ],
)
def test_a_function_is_looked_for_and_not_run(tmp_path: Path, code: str, spec: str, words: str) -> None:
    (tmp_path / "post.py").write_text(code, encoding="utf-8")
    path = write(tmp_path, f'postprocess: "{spec}"')
    if not words:
        assert "post.py" in [path for path, _ in named(load(path), None)]
        return
    with pytest.raises(ModelbuildError) as caught:
        load(path)
    (problem,) = caught.value.problems
    assert words in problem.what
    assert problem.where.startswith("models.yaml:3:")
