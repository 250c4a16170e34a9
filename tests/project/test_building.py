"""Building through the manifest: what is shipped, what is reported, what is withdrawn and cleaned away."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from modelbuild.project.building import build
from modelbuild.project.project import Project, open_project
from tests.project.small_project import write_manifest, write_model, write_samples

TWINS = """\
samples: {some: {files: "data/*.npy"}}
defaults: {calibration: some}
models: {left: {source: left/m.onnx}, right: {source: right/m.onnx}}
targets: {cam: {chip: kl720}}
packages: {both: {target: cam, models: {left: {id: 32768}, right: {id: 32769}}}}
"""


def test_equal_model_files_with_other_weights_beside_them_are_other_models(tmp_path: Path) -> None:
    for seed, name in enumerate(("left", "right")):
        write_model(tmp_path / name / "m.onnx", seed, external=True)
    files = [(tmp_path / name / "m.onnx").read_bytes() for name in ("left", "right")]
    assert files[0] == files[1]
    write_samples(tmp_path / "data")
    write_manifest(tmp_path, TWINS)
    project = open_project(tmp_path)

    def imported() -> list[str]:
        actions = [f"{name}:import_source" for name in ("left", "right")]
        result = project.builder.build(project.plan.actions, actions, jobs=1)
        return [result.outputs[action]["model.onnx"] for action in actions]

    first = imported()
    assert first[0] != first[1]
    write_model(tmp_path / "right/m.onnx", 7, external=True)
    second = imported()
    assert second[0] == first[0] and second[1] not in first


PAIR = """\
samples: {some: {files: "data/*.npy"}}
defaults: {calibration: some}
models: {a: {source: a.onnx}, b: {source: b.onnx}}
targets: {cam: {chip: kl720}, eye: {chip: modalix}}
packages:
  pa: {target: cam, models: {a: {id: 32768}}}
  pb: {target: eye, models: [b]}
"""


def pair(folder: Path, text: str = PAIR) -> Project:
    """Two models, each in a package of its own."""
    for seed, name in enumerate("ab"):
        write_model(folder / f"{name}.onnx", seed)
    write_samples(folder / "data")
    write_manifest(folder, text)
    return open_project(folder)


def fail_import(folder: Path, model: str) -> None:
    """The model's file is no model any more."""
    (folder / f"{model}.onnx").write_bytes(b"broken")


def fail_gate(folder: Path, model: str) -> Project:
    """No model keeps this bound."""
    source = f"{model}: {{source: {model}.onnx"
    write_manifest(folder, PAIR.replace(source, f"{source}, accept: {{snr_db: 500}}"))
    return open_project(folder)


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("broken", ["a", "b"])
@pytest.mark.parametrize("stage", ["import_source", "gate"])
def test_every_package_gets_its_report_whichever_failed(
    tmp_path: Path, stage: str, broken: str, jobs: int
) -> None:
    project = pair(tmp_path)
    if stage == "gate":
        project = fail_gate(tmp_path, broken)
    else:
        fail_import(tmp_path, broken)
    report = build(project, jobs=jobs)
    assert [action.rsplit(":")[1] for action, _ in report.failures] == [stage]
    assert [package.report for package in report.packages] == [
        f"reports/{package}/report.html" for package in ("pa", "pb")
    ]
    written = json.loads((tmp_path / f"reports/p{broken}/report.json").read_bytes())
    assert written["passed"] is False


def test_a_renamed_sample_is_read_anew(tmp_path: Path) -> None:
    """What a suffix says of a file decides how it is read, in failures, too."""
    project = pair(tmp_path, PAIR.replace("data/*.npy", "data/*.*"))
    samples = [tmp_path / "data" / f"{index}.npy" for index in range(2)]
    assert build(project, ["a@cam"], jobs=1, until="observe").ok
    for before, after in ((".npy", ".png"), (".png", ".npy")):
        for path in samples:
            path.with_suffix(before).rename(path.with_suffix(after))
        report = build(open_project(tmp_path), ["a@cam"], jobs=1, until="observe")
        assert report.ok is (after == ".npy")
        assert after == ".npy" or "0.png" in str(report.failures[0][1])


@pytest.mark.parametrize("broken", ["a.onnx", "data/1.npy"])
def test_a_failing_build_leaves_the_same_bytes_in_any_folder(tmp_path: Path, broken: str) -> None:
    left = []
    for folder in (tmp_path / "one", tmp_path / "another, longer" / "deep"):
        folder.mkdir(parents=True)
        project = pair(folder)
        (folder / broken).write_bytes(b"broken")
        report = build(project, ["pa"], jobs=1)
        assert broken in str(report.failures[0][1]) and str(folder) not in str(report.failures)
        records = [path.read_bytes() for path in (folder / ".modelbuild/records").rglob("*.json")]
        failures = sorted(record for record in records if b'"failure":null' not in record)
        left.append(
            [*failures, *((folder / f"reports/pa/report.{kind}").read_bytes() for kind in ("json", "html"))]
        )
    assert left[0] == left[1] and len(left[0]) >= 3
    assert not any(str(tmp_path).encode() in data for data in left[0])
