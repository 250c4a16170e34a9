"""`check`: findings of models and samples, with places in the manifest, and what they mean for the exit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from modelbuild.errors import ModelbuildError, Problem
from modelbuild.project.checking import CheckReport, check, problem_finding
from modelbuild.project.finding_places import ModelPlaces
from modelbuild.project.project import Project, located, open_project
from tests.project.small_project import PAIR, write_manifest, write_model, write_samples

TEXT = """\
samples: {some: {files: "data/*.npy"}}
defaults: {calibration: some}
models:
  good: {source: good.onnx, inputs: {image: {preprocess: {mean: 127.5, std: 127.5}}}}
  bad:
    source: bad.onnx
targets: {cam: {chip: kl720}, eye: {chip: modalix}}
packages:
  one: {target: cam, models: {good: {id: 32768}, bad: {id: 32769}}}
  two: {target: eye, models: [good]}
"""


def write_hopeless(path: Path) -> None:
    """A model with an operator that no unit runs."""
    graph = helper.make_graph(
        [helper.make_node("Det", ["image"], ["scores"], name="determinant")],
        "bad",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 4, 4])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, 3])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    write_model(tmp_path / "good.onnx")
    write_hopeless(tmp_path / "bad.onnx")
    write_samples(tmp_path / "data")
    write_manifest(tmp_path, TEXT)
    return open_project(tmp_path)


def errors(report: CheckReport) -> list[dict[str, object]]:
    return [finding for finding in report.findings if finding["severity"] == "error"]


def test_a_node_that_nothing_runs(project: Project) -> None:
    report = check(project)
    (error,) = errors(report)
    assert (error["model"], error["target"], error["node"]) == ("bad", "cam", "determinant")
    assert (error["file"], error["line"]) == ("models.yaml", 7)  # where the manifest names the model
    assert error["code"] == "MB101" and error["advice"]
    assert report.exit_code == 1 and not report.ok and report.to_json()["ok"] is False
    assert set(report.units) == {"good@cam", "bad@cam", "good@eye"}
    assert report.units["bad@cam"] == {"determinant": "none"}
    assert set(report.units["good@eye"].values()) == {"npu"}


def test_too_little_memory_on_the_chip_stands_where_it_is_set(project: Project) -> None:
    setting = "cam: {chip: kl720, compile: {sram_bytes: 16}}"
    write_manifest(project.root, TEXT.replace("cam: {chip: kl720}", setting))
    report = check(open_project(project.root), ["good"])
    (error,) = errors(report)
    assert (error["code"], error["model"], error["target"]) == ("MB117", "good", "cam")
    lines = (project.root / "models.yaml").read_text().split("\n")
    column = lines[int(str(error["line"])) - 1].index("16}}") + 1
    assert (error["file"], error["column"]) == ("models.yaml", column)
    assert "needs" in str(error["message"]) and "there are 16" in str(error["message"])
    assert "write `sram_bytes: " in str(error["advice"]) and report.exit_code == 1


def test_what_is_selected_alone_is_checked(project: Project) -> None:
    report = check(project, ["good"])
    assert report.ok and report.exit_code == 0 and set(report.units) == {"good@cam", "good@eye"}
    assert set(check(project, ["two"]).units) == {"good@eye"}


def test_the_range_of_an_input(project: Project) -> None:
    (pair,) = check(project, ["two"]).ranges["good"]["image"][:1]
    assert pair == [-1.0, 1.0]
    assert "bad" not in check(project).ranges


def test_a_model_that_cannot_be_read_is_the_users_and_hides_no_other(project: Project) -> None:
    (project.root / "good.onnx").write_bytes(b"broken")
    report = check(project)
    assert report.exit_code == 2
    assert {error["model"] for error in errors(report)} == {"good", "bad"}
    (unread,) = (error for error in errors(report) if error["model"] == "good")
    assert unread["code"] == "MB100" and "good.onnx" in str(unread["where"])
    assert set(report.units) == {"bad@cam"}


def test_a_sample_that_does_not_fit(project: Project) -> None:
    np.save(project.root / "data/1.npy", np.zeros((1, 3, 5, 5), np.float32))
    report = check(project, ["good@eye"])
    assert report.exit_code == 2
    assert any("1.npy" in str(error["where"]) for error in errors(report))


def test_a_problem_with_a_place_is_a_finding_there() -> None:
    found = problem_finding(Problem("too much", "models.yaml:3:14", "it is 5", "write 4"), "net")
    assert (found["file"], found["line"], found["column"]) == ("models.yaml", 3, 14)
    assert (found["message"], found["advice"], found["model"]) == ("too much (it is 5)", "write 4", "net")
    assert (found["code"], found["severity"]) == ("MB100", "error")
    assert problem_finding(Problem("too much", "models.yaml:3:14"))["code"] == "MB009"
    elsewhere = problem_finding(Problem("too much", "input x", code="MB042"))
    assert (elsewhere["file"], elsewhere["line"], elsewhere["where"]) == ("", None, "input x")
    assert elsewhere["code"] == "MB042"


def test_names_under_quantize_that_are_not_there_have_their_places(tmp_path: Path) -> None:
    write_model(tmp_path / "good.onnx")
    write_samples(tmp_path / "data")
    quantize = "{nodes: {nowhere: {activations: int16}}, inputs: {imag: int16}}"
    text = TEXT.replace("  bad:\n    source: bad.onnx\n", "").replace(", bad: {id: 32769}", "")
    write_manifest(tmp_path, text.replace("{chip: kl720}", f"{{chip: kl720, quantize: {quantize}}}"))
    report = check(open_project(tmp_path), ["good@cam"])
    assert report.exit_code == 2
    told = {error["message"]: (error["line"], error["advice"]) for error in errors(report)}
    assert set(told) == {"quantize.nodes: there is no 'nowhere'", "quantize.inputs: there is no 'imag'"}
    assert {line for line, _ in told.values()} == {6}
    assert told["quantize.inputs: there is no 'imag'"][1] == "did you mean `image`?"


def test_findings_on_preprocessing_have_its_place(project: Project) -> None:
    lines = (project.root / "models.yaml").read_text(encoding="utf-8").splitlines()
    for code, wanted in (("MB205", "preprocess: {mean"), ("MB202", "good.onnx")):
        found = ModelPlaces.of(project.manifest, "good", "cam").of_finding(code)
        assert lines[found["line"] - 1][found["column"] - 1 :].startswith(wanted), lines
    bad = ModelPlaces.of(project.manifest, "bad", "cam")
    assert bad.of_finding("MB205") == bad.of_finding("MB100")


def test_a_finding_on_speed_has_the_place_of_the_bound(tmp_path: Path) -> None:
    write_model(tmp_path / "a.onnx")
    write_model(tmp_path / "b.onnx")
    write_samples(tmp_path / "data")
    write_manifest(tmp_path, PAIR.replace("{chip: kl720}", "{chip: kl720, accept: {fps: 30}}"))
    manifest = open_project(tmp_path).manifest
    of_bound = ModelPlaces.of(manifest, "a", "cam").of_finding("MB306")
    lines = (tmp_path / "models.yaml").read_text(encoding="utf-8").splitlines()
    assert lines[of_bound["line"] - 1][of_bound["column"] - 1 :].startswith("30")
    unbounded = ModelPlaces.of(manifest, "b", "eye")
    assert unbounded.of_finding("MB306") == unbounded.of_finding("MB100")
    here = open_project(tmp_path, overrides=["accept.fps=40"]).manifest
    assert ModelPlaces.of(here, "b", "eye").of_finding("MB306") == unbounded.of_finding("MB100")


def test_an_error_of_a_function_has_the_place_of_its_bound(tmp_path: Path) -> None:
    write_model(tmp_path / "good.onnx")
    write_samples(tmp_path / "data")
    (tmp_path / "score.py").write_text("def f1(outputs, labels):\n    return None\n")
    bound = "accept: {function: {score.py:f1: 0.9}}"
    text = TEXT.replace("  bad:\n    source: bad.onnx\n", "").replace(", bad: {id: 32769}", "")
    write_manifest(tmp_path, text.replace("{chip: kl720}", f"{{chip: kl720, {bound}}}"))
    error = ModelbuildError("it returned None", where="accept.function.score.py:f1")
    (problem,) = located(open_project(tmp_path), "good@cam:verify_fixed", error).problems
    assert problem.where.startswith("models.yaml:6:")


def test_a_misspelt_input_is_one_error(tmp_path: Path) -> None:
    write_model(tmp_path / "good.onnx")
    write_samples(tmp_path / "data")
    text = TEXT.replace("  bad:\n    source: bad.onnx\n", "").replace(", bad: {id: 32769}", "")
    write_manifest(tmp_path, text.replace("inputs: {image: {pre", "inputs: {imag: {pre"))
    (error,) = errors(check(open_project(tmp_path), ["good@cam"]))
    assert error["message"] == "the model has no input `imag` (its inputs are image)"


def test_every_sample_that_cannot_be_read_is_told_once(project: Project) -> None:
    for name in "01":
        path = project.root / "data" / f"{name}.npy"
        np.save(path, np.full((1, 3, 4, 4), np.nan, np.float32))
    report = check(open_project(project.root), ["good@cam"])
    found = [error for error in errors(report) if "NaN" in str(error["message"])]
    assert [str(error["where"]).rpartition("data/")[2] for error in found] == ["0.npy", "1.npy"]
    assert all("a sample of `calibration`" in str(error["message"]) for error in found)
    assert all("take it out of the set" in str(error["advice"]) for error in found)


def test_what_is_wrong_with_many_samples_is_told_of_the_first(project: Project) -> None:
    for number in range(2, 9):
        np.save(project.root / "data" / f"{number}.npy", np.zeros((1, 3, 5, 5), np.float32))
    np.save(project.root / "data/9.npy", np.full((1, 3, 4, 4), np.nan, np.float32))
    found = wrong_samples(project)
    assert [str(error["where"]).rpartition("data/")[2] for error in found] == [
        f"{n}.npy" for n in (2, 3, 4, 9)
    ]
    assert [("; the same is wrong with 4 more files" in str(error["advice"])) for error in found] == [
        False,
        False,
        True,
        False,
    ]


def test_one_more_sample_of_the_same_kind(project: Project) -> None:
    for number in range(2, 6):
        np.save(project.root / "data" / f"{number}.npy", np.zeros((1, 3, 5, 5), np.float32))
    *_, last = wrong_samples(project)
    assert str(last["advice"]).endswith("; the same is wrong with 1 more file")


def wrong_samples(project: Project) -> list[dict[str, object]]:
    report = check(open_project(project.root), ["good@cam"])
    return [error for error in errors(report) if "a sample of `calibration`" in str(error["message"])]
