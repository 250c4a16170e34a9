"""Bounds on what users mean by accuracy, in a whole build: boxes, functions of the user's, three forms."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from modelbuild import api
from modelbuild.errors import ModelbuildError
from modelbuild.project.options import BuildOptions
from tests.project.small_project import write_manifest, write_model, write_samples

SAMPLES = 6
MANIFEST = """\
samples: {s: {files: data/*.npy, labels: labels.json}}
models:
  net:
    source: net.onnx
    calibration: s
    postprocess: tools/post.py:boxes
    verify: {hardware: all}
    accept: ACCEPT
targets: {cam: {chip: modalix}}
packages: {p: {target: cam}}
"""
# A box whose corner says how large the outputs are, and one that is never right.
POST = """\
import numpy as np
def boxes(outputs, inputs):
    left = float(np.abs(inputs["image"]).sum())
    shift = 0.0 if KEEPS else 100.0
    there = [left + shift, 0, left + shift + 4, 4]
    return [{"box": there, "score": 0.5}, {"box": [0, 90, 4, 94], "score": 0.1}]
"""
SCORE = """\
from parts.helper import scaled
def total(outputs, labels):
    assert outputs["scores"].shape == (6, 2, 4, 4) and len(labels) == 6 and labels[0][0]["class"] == 0
    return scaled(outputs["scores"])
"""


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project, built with a bound that asks for neither boxes nor a function."""
    folder = tmp_path_factory.mktemp("compiled")
    write_project(folder)
    assert built(folder, "{snr_db: 0}").ok
    return folder


@pytest.fixture
def folder(compiled: Path, tmp_path: Path) -> Path:
    """The project, which has what does not depend on bounds already."""
    shutil.copytree(compiled, tmp_path, symlinks=True, dirs_exist_ok=True)
    return tmp_path


def write_project(tmp_path: Path) -> None:
    write_model(tmp_path / "net.onnx")
    write_samples(tmp_path / "data", SAMPLES)
    labels = {}
    for index in range(SAMPLES):
        left = float(np.abs(np.load(tmp_path / f"data/{index}.npy")).sum())
        labels[f"data/{index}.npy"] = [{"box": [left, 0, left + 4, 4], "class": 0}]
    (tmp_path / "labels.json").write_text(json.dumps(labels), encoding="utf-8")
    (tmp_path / "tools/parts").mkdir(parents=True)
    (tmp_path / "tools/post.py").write_text(POST.replace("KEEPS", "True"), encoding="utf-8")
    (tmp_path / "tools/score.py").write_text(SCORE, encoding="utf-8")
    write_helper(tmp_path, "float(abs(values).sum())")


def write_helper(folder: Path, value: str) -> None:
    text = f"def scaled(values):\n    return {value}\n"
    (folder / "tools/parts/helper.py").write_text(text, encoding="utf-8")


def built(folder: Path, accept: str, manifest: str = MANIFEST) -> Any:
    write_manifest(folder, manifest.replace("ACCEPT", accept))
    return api.build(api.open_project(folder), (), BuildOptions(jobs=1))


def checks(report: Any) -> dict[str, tuple[Any, bool]]:
    (package,) = report.to_json()["packages"]
    return {check["check"]: (check["measured"], check["passed"]) for check in package["checks"]}


def test_boxes_and_functions_are_measured_in_three_forms_and_judged(folder: Path) -> None:
    report = built(
        folder, "{map: 0.9, map50_drop: 0, function: {tools/score.py:total: {at_least: 1, rise: 5}}}"
    )
    found = checks(report)
    assert report.ok and found["map"] == (pytest.approx(1.0), True) == found["map in hardware"]
    assert found["map50_drop"] == (0.0, True)
    value = found["tools/score.py:total"][0]
    assert value > 1.0 and found["tools/score.py:total in hardware"] == (value, True)
    assert abs(found["rise of tools/score.py:total"][0]) < 0.05 * value
    measured = json.loads((folder / "reports/p/report.json").read_bytes())["models"][0]["fidelity"]
    assert measured["functions"]["fixed"] == {"tools/score.py:total": value}
    assert measured["accuracy"]["float"]["map"] == pytest.approx(1.0)
    assert "tools/score.py:total" in (folder / "reports/p/report.html").read_text(encoding="utf-8")


def test_a_changed_bound_runs_the_gate_alone_and_a_changed_helper_measures_again(folder: Path) -> None:
    assert built(folder, "{function: {tools/score.py:total: 1}}").ok
    report = built(folder, "{function: {tools/score.py:total: 1.0e9}}")
    ran = {name for name, state in report.states.items() if state in ("run", "failed")}
    assert ran == {"p:gate", "p:report"} and report.exit_code == 1
    assert checks(report)["tools/score.py:total"][1] is False
    write_helper(folder, "2e9")
    report = built(folder, "{function: {tools/score.py:total: 1.0e9}}")
    assert report.ok and report.states["net@cam:verify_fixed"] == "run"
    assert report.states["net@cam:apply"] == "cached"


def test_a_function_sees_no_file_that_is_not_in_its_key(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the project is on the path: its result is kept while that file changes."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.syspath_prepend(folder)
    (folder / "tools/secret.py").write_text("VALUE = 2.0\n", encoding="utf-8")
    code = "import importlib\ndef total(outputs, labels):\n    return importlib.import_module(NAME).VALUE\n"
    (folder / "tools/score.py").write_text(code.replace("NAME", "'tools.secret'"), encoding="utf-8")
    report = built(folder, "{function: {tools/score.py:total: 1}}")
    assert {"No module named 'tools.secret'" in str(error) for _, error in report.failures} == {True}
    (folder / "tools/score.py").write_text(f"import tools.secret\n{code}".replace("NAME", "'tools.secret'"))
    assert built(folder, "{function: {tools/score.py:total: 1}}").ok


def test_a_function_that_never_ends_is_named_and_a_longer_time_measures_nothing_again(folder: Path) -> None:
    code = "def total(outputs, labels):\n    while len(labels) == 6:\n        pass\n"
    (folder / "tools/score.py").write_text(code, encoding="utf-8")
    accept = "{function: {tools/score.py:total: 1}}"
    limits = "accept: ACCEPT", "accept: ACCEPT\n    verify: {timeout_seconds: 1}"
    manifest = MANIFEST.replace("    verify: {hardware: all}\n", "").replace(*limits)
    report = built(folder, accept, manifest)
    (text,) = {str(error) for _, error in report.failures}
    assert "function tools/score.py:total has not come back after 1 seconds" in text
    (folder / "tools/score.py").write_text("def total(outputs, labels):\n    return 2\n", encoding="utf-8")
    manifest = manifest.replace("seconds: 1", "seconds: 400")
    assert built(folder, accept, manifest).states["net@cam:verify_fixed"] == "run"
    report = built(folder, accept, manifest.replace("seconds: 400", "seconds: 500"))
    assert report.ok and "run" not in report.states.values()


def test_boxes_elsewhere_are_no_boxes_found(folder: Path) -> None:
    (folder / "tools/post.py").write_text(POST.replace("KEEPS", "False"), encoding="utf-8")
    report = built(folder, "{map: 0.01}")
    assert checks(report)["map"] == (0.0, False) and report.exit_code == 1


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return 'good'", "returned a str"),
        ("return float('nan')", "returned nan"),
        ("return open('models.yaml').read()", "No such file"),  # nothing but what its result is kept for
        ("return outputs['nothing']", "KeyError"),
    ],
)
def test_a_function_that_fails_is_told_with_its_line(folder: Path, body: str, message: str) -> None:
    (folder / "tools/score.py").write_text(f"def total(outputs, labels):\n    {body}\n", encoding="utf-8")
    report = built(folder, "{function: {tools/score.py:total: 1}}")
    (text,) = {str(error) for _, error in report.failures}
    assert message in text and "tools/score.py:total" in text
    assert "returned" in message or "tools/score.py:2" in text


@pytest.mark.parametrize(
    ("accept", "change", "message"),
    [
        ("{top1: 0.5}", {}, "needs classes, and the labels of `s` are boxes"),
        ("{map: 0.5}", {"labels: labels.json": "labels: l.txt"}, "needs boxes, and the labels of `s` are"),
        (
            "{map: 0.5}",
            {"    postprocess: tools/post.py:boxes\n": ""},
            "the model `net` has no `postprocess`",
        ),
        ("{function: {tools/none.py:f: 1}}", {}, "tools/none.py does not exist"),
        ("{function: {tools/score.py:none: 1}}", {}, "defines no function `none`"),
        ("{function: {score: 1}}", {}, "does not name a function in a file"),
        ("{function: {tools/score.py:total: {}}}", {}, "a function without a bound"),
        ("{map_drop: 0.01}", {"labels.json": "empty.json"}, "there is no box in the evaluation set `s`"),
        ("{map: 0}", {"labels.json": "crowds.json"}, "there is no box in the evaluation set `s`"),
        (
            "{function: {tools/score.py:total: {at_least: 0.9, at_most: 0.5}}}",
            {},
            "no value of `tools/score.py:total` is at least 0.9 and at most 0.5",
        ),
        (
            "{function: {tools/score.py:total: {at_least: }}}",
            {},
            "the function `tools/score.py:total` has no bound",
        ),
        ("{function: {tools/score.py:total: }}", {}, "the function `tools/score.py:total` has no bound"),
    ],
)
def test_what_cannot_be_measured_is_an_error_of_the_manifest(
    folder: Path, accept: str, change: dict[str, str], message: str
) -> None:
    crowd = {"box": [0, 0, 4, 4], "class": 0, "crowd": True}
    for name, labels in (("empty", []), ("crowds", [crowd])):
        text = json.dumps({f"data/{index}.npy": labels for index in range(SAMPLES)})
        (folder / f"{name}.json").write_text(text, encoding="utf-8")
    lines = "".join(f"data/{index}.npy 0\n" for index in range(SAMPLES))
    (folder / "l.txt").write_text(lines, encoding="utf-8")
    text = MANIFEST.replace("ACCEPT", accept)
    for old, new in change.items():
        text = text.replace(old, new)
    write_manifest(folder, text)
    with pytest.raises(ModelbuildError) as caught:
        api.open_project(folder)
    assert message in str(caught.value) and "models.yaml:" in str(caught.value)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of pictures, whose labels are still to be written: each build does what depends on these."""
    folder = tmp_path_factory.mktemp("pictures")
    write_model(folder / "net.onnx")
    write_samples(folder / "data", 4)
    height, width = np.load(folder / "data/0.npy").shape[-2:]
    for index in range(4):
        Image.new("RGB", (width, height), (9 * index, 7, 3)).save(folder / f"data/{index}.png")
    (folder / "tools").mkdir()
    (folder / "tools/post.py").write_text("def boxes(outputs, inputs):\n    return []\n", encoding="utf-8")
    return folder


def write_labels(folder: Path, box: list[float]) -> None:
    labels = {f"data/{index}.png": [{"box": box, "class": 0}] for index in range(4)}
    (folder / "labels.json").write_text(json.dumps(labels), encoding="utf-8")


@pytest.mark.parametrize(
    ("box", "what"),
    [
        ([0.1, 0.1, 0.5, 0.9], "all boxes of the labels of the evaluation samples lie between 0 and 1"),
        (
            [30, 1, 34, 5],
            "the label [30.0, 1.0, 34.0, 5.0] of evaluation sample 1 lies outside of its picture",
        ),
        ([-9, 0, 2, 4], "the label [-9.0, 0.0, 2.0, 4.0] of evaluation sample 1 lies outside of its picture"),
        ([-1, 0, 2, 4], None),
    ],
)
def test_labels_that_cannot_be_of_the_picture_are_refused(
    pictures: Path, box: list[float], what: str | None
) -> None:
    write_labels(pictures, box)
    report = built(pictures, "{map: 0}", MANIFEST.replace("*.npy", "*.png"))
    found = [problem for _, error in report.failures for problem in error.problems]
    if what is None:
        assert not found
    else:
        assert what in found[0].what and found[0].advice and found[0].where.startswith("models.yaml:")


def test_labels_follow_the_picture_into_the_input(tmp_path: Path) -> None:
    from modelbuild.samples.boxes import picture_size, placed
    from modelbuild.samples.preprocess import Preprocess, apply

    picture = np.zeros((60, 120, 3), np.uint8)
    picture[20:40, 30:90] = 255
    image = Image.fromarray(picture)
    image.save(tmp_path / "a.png")
    box = {"box": [30.0, 20.0, 90.0, 40.0], "class": 1}
    for resize, wanted in (("stretch", (30, 40)), ("letterbox", (48, 40)), ("crop", (30, 40))):
        p = Preprocess(resize=resize)  # type: ignore[arg-type]
        tensor = apply(image, p, (1, 3, *wanted))[0, 0]
        rows, columns = (np.flatnonzero(tensor.max(axis=axis) > 127) for axis in (1, 0))
        (moved,) = placed([box], picture_size(tmp_path / "a.png"), p, wanted)
        left, top, right, bottom = moved["box"]
        seen = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
        inside = [max(left, 0), top, min(right, wanted[1]), bottom]
        assert np.abs(np.array(seen) - inside).max() <= 1, resize
