"""Predictions of a manifest's models under other assumptions: what is the base, and that nothing is built."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelbuild.errors import ModelbuildError
from modelbuild.graph import onnx_io
from modelbuild.project.assuming import assumed
from modelbuild.project.predicting import Asked, evaluate, evaluate_file
from modelbuild.project.project import Project, open_project
from tests.graph.small import graph, numbers
from tests.project.small_project import write_manifest, write_model, write_samples

TEXT = """\
samples: {some: {files: "data/*.npy"}}
defaults: {calibration: some}
models: {a: {source: a.onnx}, b: {source: b.onnx, targets: {cam: {compile: {batch: 2}}}}}
targets:
  cam: {chip: kl720, compile: {flatbuffer: false, sram_bytes: 65536, weight_compress: true}}
  eye: {chip: modalix}
"""


PLAIN = "{calibration: some, compile: {weight_compress: false}}"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    for seed, name in enumerate("ab"):
        write_model(tmp_path / f"{name}.onnx", seed)
    write_samples(tmp_path / "data")
    write_manifest(tmp_path, TEXT)
    return open_project(tmp_path)


def test_a_selection_in_its_order_each_with_its_own_base(project: Project) -> None:
    found = [one.said for one in assumed(project, ["b@cam", "a"], Asked(told={"clock_hz": 1e6}))]
    assert [(each["model"], each["chip"], each["batch"]) for each in found] == [
        ("b", "kl720", 2),
        ("a", "kl720", 1),
        ("a", "modalix", 1),
    ]
    assert [each["memory"]["sram"] for each in found[:2]] == [65536, 65536]
    assert all(each["replaced"]["clock_hz"]["value"] == 1e6 for each in found)
    (built,) = evaluate(project, ["b@cam"])
    assert found[0]["macs"] == built["macs"] and found[0]["time_ms"] > 100 * built["time_ms"]


def test_nothing_of_it_is_an_artifact(project: Project) -> None:
    evaluate(project, ["a@cam"])
    assumed(project, ["a@cam"], Asked(told={"batch": 8}), ["kl520"])
    names = ["a@cam:evaluate", "a@cam:check"]
    states = project.builder.status(project.plan.actions, names)
    assert [states[name].state for name in names] == ["up to date"] * 2
    assert evaluate(project, ["a@cam"])[0]["batch"] == 1


def test_what_is_of_one_chip_alone_is_not_asked_of_others(project: Project) -> None:
    own, other = (one.said for one in assumed(project, ["a@cam"], Asked(), ["720", "kl520"]))
    assert own == evaluate(project, ["a@cam"])[0] and own["memory"]["sram"] == 65536
    assert other["chip"] == "kl520" and other["memory"]["sram"] == 512 << 10
    assert other["weight_compress"]["wanted"]  # which the target asks for on any chip


def test_weights_are_packed_where_the_vendor_does_so_unless_told_otherwise(project: Project) -> None:
    wanted = [one["weight_compress"]["wanted"] for one in evaluate(project, ["a@cam", "a@eye"])]
    assert wanted == [True, True]
    path = project.root / "models.yaml"
    path.write_text(path.read_text().replace("{calibration: some}", PLAIN))
    (found,) = evaluate(open_project(project.root), ["a@eye"])
    assert found["weight_compress"] == {"wanted": False, "counted": "unpacked", "because": None}
    alone = evaluate_file(project.root / "a.onnx", "modalix", {}, None)
    assert "upper bound" in alone["weight_compress"]["because"]
    assert not evaluate_file(project.root / "a.onnx", "kl720", {}, None)["weight_compress"]["wanted"]


def test_a_setting_that_a_chip_cannot_obey_is_an_error_at_its_place(project: Project) -> None:
    path = project.root / "models.yaml"
    path.write_text(
        path.read_text().replace("{chip: modalix}", "{chip: modalix, quantize: {weights: int16}}")
    )
    with pytest.raises(ModelbuildError, match="int16") as caught:
        assumed(open_project(project.root), ["a@eye"], Asked(), ["kl520"])
    assert caught.value.problems[0].where.startswith("models.yaml:")


def test_what_nothing_runs_is_listed_on_other_chips_and_refused_on_its_own(project: Project) -> None:
    steps = [("Conv", "x w", "a"), ("Det", "a", "y")]
    onnx_io.export(graph(steps, {"w": numbers(2, 2, 1, 1)}), project.root / "a.onnx")
    with pytest.raises(ModelbuildError, match="no unit of kl720 runs Det"):
        assumed(project, ["a@cam"], Asked(told={"clock_hz": 1e6}))
    (other,) = assumed(project, ["a@cam"], Asked(), ["kl520"])
    (node,) = other.said["unsupported"]
    assert node["op"] == "Det" and "kl520" in node["reason"]
