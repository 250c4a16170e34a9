"""Building through the manifest: what is shipped, what is reported, what is withdrawn and cleaned away."""

from __future__ import annotations

import fcntl
import json
from pathlib import Path
from typing import Any

import pytest

from modelbuild.build.build import Builder
from modelbuild.build.result import BuildResult
from modelbuild.cli.summary import summary
from modelbuild.project import building
from modelbuild.project.building import build, clean
from modelbuild.project.options import BuildOptions
from modelbuild.project.predicting import evaluate
from modelbuild.project.project import Project, open_project
from modelbuild.project.rebuilding import Rebuilding
from modelbuild.project.settled import report_of, told
from tests.project.small_project import PAIR, write_manifest, write_model, write_samples

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


def test_a_model_without_its_package_is_told_that_nothing_judges_its_bounds(tmp_path: Path) -> None:
    pair(tmp_path)
    project = fail_gate(tmp_path, "a")
    ((package, target),) = (
        (name, one.target)
        for name, one in project.plan.packages.items()
        if any(each.request.model == "a" for each in one.models)
    )
    found = build(project, ["a", "b"], BuildOptions(jobs=1))
    assert found.ok and found.unjudged == (
        f"the bounds of `accept` of a@{target} were not judged: packages have gates; "
        f"`modelbuild build {package}` judges them",
    )
    assert report_of(told(found, ()), list(found.states)).unjudged == found.unjudged
    assert summary(found).splitlines()[0] == found.unjudged[0]
    both = build(project, ["a", package], BuildOptions(jobs=1))
    assert not both.ok and both.unjudged == ()
    assert build(project, ["a"], BuildOptions(jobs=1, until="quantize")).unjudged == ()


def test_a_build_until_evaluate_tells_the_speed(tmp_path: Path) -> None:
    pair(tmp_path)
    project = open_project(tmp_path)
    until = BuildOptions(jobs=1, until="evaluate")
    (said,) = evaluate(project, ["a"])
    found = build(project, ["a"], until)
    (target,) = (target for model, target in project.manifest.pairs() if model == "a")
    keys = ("fps", "total_ms", "time_ms", "cpu_time_ms", "confidence", "batch", "fits", "fits_because")
    assert found.evaluated == ({"model": "a", "target": target, **{key: said[key] for key in keys}},)
    assert summary(found).splitlines()[0] == (
        f"a@{target}: {said['fps']:.4g} fps, {said['total_ms']:.4g} ms (NPU {said['time_ms']:.4g}, CPU "
        f"{said['cpu_time_ms']:.4g}), confidence {said['confidence']}"
    )
    assert report_of(told(found, ()), list(found.states)).evaluated == found.evaluated
    assert not Rebuilding(str(tmp_path), "models.yaml", ["a"], (), until).is_known, "all is told anew"
    assert build(project, ["a"], BuildOptions(jobs=1, until="lower")).evaluated == ()


def test_bounds_of_a_model_in_no_package_and_of_one_in_two(tmp_path: Path) -> None:
    pair(tmp_path)
    text = PAIR.replace("a: {source: a.onnx}", "a: {source: a.onnx, accept: {snr_db: 1}}")
    write_manifest(tmp_path, text[: text.index("packages:")])
    alone = build(open_project(tmp_path), [], BuildOptions(jobs=1)).unjudged
    assert len(alone) == 2 and alone[0].endswith("packages have gates; put the model into one")
    write_manifest(tmp_path, f"{text}  pz: {{target: cam, models: {{a: {{id: 32768}}}}}}\n")
    assert build(open_project(tmp_path), ["pz"], BuildOptions(jobs=1)).unjudged == ()


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
    report = build(project, (), BuildOptions(jobs=jobs))
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
    assert build(project, ["a@cam"], BuildOptions(jobs=1, until="observe")).ok
    for before, after in ((".npy", ".png"), (".png", ".npy")):
        for path in samples:
            path.with_suffix(before).rename(path.with_suffix(after))
        report = build(open_project(tmp_path), ["a@cam"], BuildOptions(jobs=1, until="observe"))
        assert report.ok is (after == ".npy")
        assert after == ".npy" or "0.png" in str(report.failures[0][1])


@pytest.mark.parametrize("broken", ["a.onnx", "data/1.npy"])
def test_a_failing_build_leaves_the_same_bytes_in_any_folder(tmp_path: Path, broken: str) -> None:
    left = []
    for folder in (tmp_path / "one", tmp_path / "another, longer" / "deep"):
        folder.mkdir(parents=True)
        project = pair(folder)
        (folder / broken).write_bytes(b"broken")
        report = build(project, ["pa"], BuildOptions(jobs=1))
        assert broken in str(report.failures[0][1]) and str(folder) not in str(report.failures)
        records = [path.read_bytes() for path in (folder / ".modelbuild/records").rglob("*.json")]
        failures = sorted(record for record in records if b'"failure":null' not in record)
        left.append(
            [*failures, *((folder / f"reports/pa/report.{kind}").read_bytes() for kind in ("json", "html"))]
        )
    kept = 0 if broken == "a.onnx" else 1  # what a discovery failed over is in no key: it is asked again
    assert left[0] == left[1] and len(left[0]) == 2 + kept
    assert not any(str(tmp_path).encode() in data for data in left[0])


def test_no_other_build_comes_between_packages_and_reports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody can take the lock when publishing begins, nor between two folders that are published."""
    project = pair(tmp_path)
    taken = []
    original = Builder.publish

    def publish(builder: Builder, *arguments: Any) -> bool:
        with (tmp_path / ".modelbuild/lock").open() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                taken.append(arguments[1].as_posix())
        return original(builder, *arguments)

    monkeypatch.setattr(Builder, "publish", publish)
    assert build(project, (), BuildOptions(jobs=1)).ok
    assert taken == ["reports/pa", "dist/pa", "reports/pb", "dist/pb"]


def test_a_dry_run_takes_no_lock(tmp_path: Path) -> None:
    build(pair(tmp_path), (), BuildOptions(jobs=1, dry_run=True))
    assert not (tmp_path / ".modelbuild").exists()


@pytest.mark.parametrize("fault", ["gate", "import_source"])
def test_only_the_package_whose_own_fault_it_is_loses_its_product(tmp_path: Path, fault: str) -> None:
    """Without -k a failure of pa stops the build before the gate of pb; what pb had built stays."""
    assert build(pair(tmp_path), (), BuildOptions(jobs=1)).ok
    write_model(tmp_path / "b.onnx", 5)  # so that pb has work, too
    project = open_project(tmp_path)
    if fault == "gate":
        project = fail_gate(tmp_path, "a")
    else:
        fail_import(tmp_path, "a")
    before = [path.read_bytes() for path in sorted((tmp_path / "dist/pb").iterdir())]
    packages = {package.name: package for package in build(project, (), BuildOptions(jobs=1)).packages}
    assert packages["pa"].gate == ("failed" if fault == "gate" else "not reached")
    assert not (tmp_path / "dist/pa").exists() and any((tmp_path / "dist/.stale/pa").iterdir())
    if fault == "gate":  # a verdict stops nothing: pb is judged, and shipped as it is now
        assert packages["pb"].gate == "passed" and packages["pb"].changed
        return
    assert packages["pb"].gate == "not reached" and packages["pb"].files == ()
    assert [path.read_bytes() for path in sorted((tmp_path / "dist/pb").iterdir())] == before


def test_cleaning_keeps_what_no_build_made(tmp_path: Path) -> None:
    project = pair(tmp_path)
    assert build(project, (), BuildOptions(jobs=1)).ok
    build(fail_gate(tmp_path, "a"), (), BuildOptions(jobs=1))
    for path in ("dist/notes.txt", "reports/hand-made/index.html"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text("mine")
    assert clean(tmp_path) == ("dist/.stale/pa", "dist/pb", "reports/pa", "reports/pb")
    left = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    sources = {"a.onnx", "b.onnx", "data/0.npy", "data/1.npy", "models.yaml"}
    assert left == sources | {".modelbuild/lock", "dist/notes.txt", "reports/hand-made/index.html"}
    assert clean(tmp_path) == ()


def test_as_many_jobs_as_processors_unless_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = pair(tmp_path)
    asked = []

    def note(builder: Builder, *arguments: Any, jobs: int, **options: Any) -> BuildResult:
        asked.append(jobs)
        return BuildResult({}, {}, ())

    monkeypatch.setattr(Builder, "build", note)
    monkeypatch.setattr(building, "processors", lambda: 3)
    build(project)
    build(project, (), BuildOptions(jobs=1))
    assert asked == [3, 1]
