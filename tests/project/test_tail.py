"""A model whose tail runs after the chip: built, shipped, measured, run, compared, locked."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from modelbuild import api
from modelbuild.cli.main import main
from modelbuild.errors import ModelbuildError
from modelbuild.graph.session import FloatSession
from modelbuild.project.options import BuildOptions

MANIFEST = """\
modelbuild: 1
samples: {some: {files: data/*.npy, labels: data/labels.txt}}
models:
  face:
    source: face.onnx
    calibration: some
    edit: [{tail: auto}]
    verify: {hardware: all}
    postprocess: tools/post.py:decode
    accept: {snr_db: {probabilities: 5, c: 5}, top1: 0.1, cpu_nodes: 0}
targets: {cam: {chip: kl720}}
packages: {p: {target: cam, models: {face: {id: 32768}}}}
"""
POST = """\
import numpy as np


def decode(outputs, inputs):
    best = outputs["probabilities"].reshape(-1).argsort()[::-1][:2]
    return {"best": best, "mean": outputs["scores"].mean(), "of": list(inputs)}


def fails(outputs):
    return helper(outputs)


def helper(outputs):
    return outputs["probability"]
"""


def write(folder: Path, manifest: str = MANIFEST) -> Path:
    """The chip runs the convolutions, `scores` among them; Transpose and Softmax make `probabilities`."""
    draw = np.random.default_rng(3)
    weights = {name: draw.standard_normal(shape).astype(np.float32) for name, shape in
               {"w": (4, 3, 3, 3), "u": (2, 4, 1, 1), "v": (6, 4, 7, 7)}.items()}  # fmt: skip
    nodes = [
        helper.make_node("Conv", ["image", "w"], ["a"], name="stem", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["a"], ["b"], name="relu"),
        helper.make_node("Conv", ["b", "u"], ["scores"], name="head"),
        helper.make_node("Conv", ["b", "v"], ["c"], name="features"),
        helper.make_node("Transpose", ["c"], ["d"], name="last", perm=[0, 2, 3, 1]),
        helper.make_node("Softmax", ["d"], ["probabilities"], name="soft", axis=-1),
    ]
    ports = [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 8, 8])]
    made = [("probabilities", [1, 2, 2, 6]), ("scores", [1, 2, 8, 8])]
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in made]
    constants = [numpy_helper.from_array(value, name) for name, value in weights.items()]
    graph = helper.make_graph(nodes, "face", ports, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, folder / "face.onnx")
    (folder / "data").mkdir()
    (folder / "tools").mkdir()
    lines = []
    for index in range(3):  # the last label is wrong
        image = draw.standard_normal((1, 3, 8, 8)).astype(np.float32)
        np.save(folder / f"data/{index}.npy", image)
        best = FloatSession(folder / "face.onnx").run({"image": image})["probabilities"].argmax()
        lines.append(f"{index}.npy {best if index < 2 else (best + 1) % 24}\n")
    (folder / "data/labels.txt").write_text("".join(lines), encoding="utf-8")
    (folder / "tools/post.py").write_text(POST, encoding="utf-8")
    (folder / "models.yaml").write_text(manifest, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def face(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project, built. Not to be changed."""
    folder = write(tmp_path_factory.mktemp("face"))
    assert api.build(api.open_project(folder), (), BuildOptions(jobs=1)).ok
    return folder


def said(capsys: pytest.CaptureFixture[str], folder: Path, *words: str) -> Any:
    capsys.readouterr()
    assert main([*words, "--json", "-C", str(folder)]) == 0
    return json.loads(capsys.readouterr().out)


def measured(folder: Path) -> Any:
    """The model in the report."""
    return json.loads((folder / "reports/p/report.json").read_text())["models"][0]


def test_the_part_after_the_chip_is_shipped(face: Path) -> None:
    post = onnx.load(face / "dist/p/face_post.onnx")
    assert [value.name for value in post.graph.input] == ["c"]
    assert [value.name for value in post.graph.output] == ["probabilities"]
    described = json.loads((face / "dist/p/face.json").read_text())
    assert described["post"] == {
        "file": "face_post.onnx",
        "inputs": ["c"],
        "outputs": ["probabilities", "scores"],
    }
    assert [port["name"] for port in described["outputs"]] == ["scores", "c"]


def test_both_parts_are_measured_and_bounds_name_either(face: Path) -> None:
    found = measured(face)
    outputs = {output["name"]: output for output in found["fidelity"]["outputs"]}
    assert list(outputs) == ["scores", "c", "probabilities"]
    assert outputs["probabilities"]["snr_db"] > 5
    assert [output["name"] for output in found["hardware"]["outputs"]] == ["scores", "c", "probabilities"]
    assert found["hardware"]["equal"] is True
    checks = json.loads((face / "reports/p/report.json").read_text())["checks"]
    assert {"snr_db of probabilities", "snr_db of c", "top1"} <= {check["check"] for check in checks}


def test_the_report_lists_what_was_cut_off_and_why(face: Path) -> None:
    soft, last = measured(face)["tail"]
    assert (soft["name"], soft["op"], "Softmax" in soft["reason"]) == ("soft", "Softmax", True)
    assert last["op"] == "Transpose"
    page = (face / "reports/p/report.html").read_text(encoding="utf-8")
    assert "2 nodes run after the chip" in page
    assert soft["reason"] in page


def test_labels_are_of_the_models_own_first_output(face: Path) -> None:
    accuracy = measured(face)["fidelity"]["accuracy"]
    assert accuracy["labelled"] == 3
    assert accuracy["float"]["top1"] == pytest.approx(2 / 3)
    assert accuracy["fixed"]["top1"] == pytest.approx(2 / 3)


def test_check_tells_of_the_tail(face: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (found,) = [f for f in said(capsys, face, "check")["findings"] if f["code"] == "MB111"]
    assert (found["severity"], found["node"]) == ("note", "soft")
    assert "2 nodes run after the chip" in found["message"]


@pytest.mark.parametrize("level", ["float", "fixed", "hardware"])
def test_run_gives_the_outputs_of_the_source(face: Path, level: str) -> None:
    runner = api.open_form(api.open_project(face), "face@cam", level)
    found = api.run_opened(runner, str(face / "data/0.npy")).outputs
    expected = FloatSession(face / "face.onnx").run({"image": np.load(face / "data/0.npy")})
    assert list(found) == ["probabilities", "scores"]
    assert found["probabilities"].sum() == pytest.approx(4, abs=1e-5)
    for name, value in expected.items():
        assert np.abs(found[name] - value).max() <= 0.1 * np.ptp(value)


def test_without_the_tail_the_chips_outputs(face: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("run", "face@cam", "--input", str(face / "data/0.npy"))
    assert [o["name"] for o in said(capsys, face, *words)["outputs"]] == ["probabilities", "scores"]
    assert [o["name"] for o in said(capsys, face, *words, "--no-tail")["outputs"]] == ["scores", "c"]


def shipped(face: Path, folder: Path) -> Path:
    """A copy of the package's folder, which has one NEF."""
    shutil.copytree(face / "dist/p", folder / "p")
    [package] = (folder / "p").glob("*.nef")
    return package


def test_what_is_shipped_gives_the_outputs_of_the_source(
    face: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    package = shipped(face, tmp_path)
    words = ("run", str(package), "--input", str(face / "data/0.npy"))
    found = said(capsys, face, *words, "-o", str(tmp_path / "o.npz"))
    assert [o["name"] for o in found["outputs"]] == ["probabilities", "scores"]
    expected = api.open_form(api.open_project(face), "face@cam", "hardware")
    same = api.run_opened(expected, str(face / "data/0.npy")).outputs
    assert all(np.array_equal(np.load(tmp_path / "o.npz")[name], value) for name, value in same.items())
    assert [o["name"] for o in said(capsys, face, *words, "--no-tail")["outputs"]] == ["scores", "c"]
    compared = ("compare", str(package), "face@cam", "--input", str(face / "data/0.npy"))
    assert len(said(capsys, face, *compared)["outputs"]) == 2
    both = said(capsys, face, *compared, "--no-tail")["outputs"]
    assert [o["name"] for o in both] == ["scores", "c"]
    fixed = ("run", str(package.parent / "face.fixed.onnx"), *words[2:])
    assert [o["name"] for o in said(capsys, face, *fixed)["outputs"]] == ["probabilities", "scores"]
    (package.parent / "face_post.onnx").unlink()
    assert [o["name"] for o in said(capsys, face, *words)["outputs"]] == ["scores", "c"]


def test_only_the_part_of_this_model_is_taken(
    face: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    package = shipped(face, tmp_path)
    post = package.parent / "face_post.onnx"
    model = onnx.load(post)
    model.graph.input[0].name = model.graph.node[0].input[0] = "other"
    onnx.save(model, post)
    words = ("run", str(package), "--input", str(face / "data/0.npy"))
    assert main([*words, "-C", str(face)]) == 2
    assert "face_post.onnx is not the part after the chip of this model" in capsys.readouterr().err
    del model.metadata_props[:]  # somebody's own model, which happens to be called so
    onnx.save(model, post)
    assert [o["name"] for o in said(capsys, face, *words)["outputs"]] == ["scores", "c"]


def test_compare_compares_the_outputs_and_what_is_made_of_them(
    face: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--post", "--input", str(face / "data"))
    found = said(capsys, face, "compare", "face.onnx", "face@cam", *words)
    assert [output["name"] for output in found["outputs"]] == ["probabilities", "scores"]
    assert min(output["snr_db"] for output in found["outputs"]) > 5
    found = said(capsys, face, "compare", "face@cam", "--levels", "fixed,hardware", *words)
    assert [output["name"] for output in found["outputs"]] == ["probabilities", "scores"]
    assert found["equal"] is True
    assert {entry["name"]: (entry["snr_db"], entry["unlike"]) for entry in found["post"]} == {
        "best": (200.0, 0),
        "mean": (200.0, 0),
    }


def test_run_post_gives_what_the_function_returns(
    face: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "o.npz"
    words = ("run", "face@cam", "--post", "--input", str(face / "data/0.npy"), "-o", str(out))
    (made,) = said(capsys, face, *words)["post"]
    arrays = np.load(out)
    assert made["best"] == np.argsort(arrays["probabilities"].reshape(-1))[::-1][:2].tolist()
    assert made["of"] == ["image"]
    assert arrays["post/mean"] == pytest.approx(arrays["scores"].mean())


def test_the_users_own_line_is_named(face: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("run", "face@cam", "--postprocess", "tools/post.py:fails", "--input", str(face / "data/0.npy"))
    capsys.readouterr()
    assert main([*words, "-C", str(face)]) == 2
    told = capsys.readouterr().err
    assert "tools/post.py:14: postprocess tools/post.py:fails: KeyError: 'probability'" in told
    assert 'return outputs["probability"]' in told
    assert "Traceback" not in told


def test_targets_with_and_without_a_tail_share_the_import(tmp_path: Path) -> None:
    text = MANIFEST.replace("    edit: [{tail: auto}]\n", "    targets: {cam: {edit: [{tail: auto}]}}\n")
    text = text.replace("{cam: {chip: kl720}}", "{cam: {chip: kl720}, eye: {chip: modalix}}")
    text = text.replace("    accept:", "    # accept:").replace("{target: cam,", "{targets: [cam, eye],")
    names = api.open_project(write(tmp_path, text)).plan.names()
    assert "face:import_source" in names and "face@cam:import_source" not in names


def test_a_bound_of_an_output_that_neither_part_has_is_refused(tmp_path: Path) -> None:
    project = api.open_project(write(tmp_path, MANIFEST.replace("c: 5", "q: 5")))
    result = project.builder.build(project.plan.actions, ["face@cam:check"], jobs=1)
    ((_, error),) = result.failures
    assert isinstance(error, ModelbuildError)
    assert "no output `q` to bound" in str(error)
    assert "probabilities" in str(error)


def test_a_locked_build_ships_the_same_part(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path)
    assert said(capsys, tmp_path, "lock")["ok"] is True
    first = (tmp_path / "dist/p/face_post.onnx").read_bytes()
    assert "face_post.onnx" in (tmp_path / "modelbuild.lock").read_text(encoding="utf-8")
    assert said(capsys, tmp_path, "build", "--locked")["ok"] is True
    assert (tmp_path / "dist/p/face_post.onnx").read_bytes() == first
