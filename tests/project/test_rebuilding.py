"""After a change of files that actions read, only what it concerns is built, and as a whole build would."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from modelbuild import api
from modelbuild.build.result import Event
from modelbuild.errors import ModelbuildError
from modelbuild.project import project as opening
from modelbuild.project import republishing
from modelbuild.project.build_report import BuildReport
from modelbuild.project.options import BuildOptions
from modelbuild.project.project import open_project
from modelbuild.project.rebuilding import Rebuilding
from modelbuild.project.settled import unchanged
from tests.project.small_project import PAIR, write_manifest, write_model, write_samples

PLACES = ("reports/pa/report.html", "reports/pb/report.html")
ONE = BuildOptions(jobs=1)


def write(folder: Path) -> None:
    """Two models, each in a package of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed, name in enumerate("ab"):
        write_model(folder / f"{name}.onnx", seed)
    write_samples(folder / "data")
    write_manifest(folder, PAIR)


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """A project, built and remembered."""
    folder = tmp_path / "project"
    write(folder)
    for _ in range(100):  # not before its files lay there a moment when they were read
        assert api.build(open_project(folder), (), ONE).ok
        if unchanged(folder, "models.yaml") is not None:
            return folder
    raise AssertionError("no build of this project is remembered")


def rebuilt(folder: Path, options: BuildOptions = ONE) -> BuildReport | None:
    """What is built without loading the manifest."""
    return Rebuilding(str(folder), "models.yaml", (), (), options).build(None, lambda warnings: None)


def whole(folder: Path) -> BuildReport:
    return api.build(open_project(folder), (), ONE)


def ran(report: BuildReport | None) -> set[str]:
    assert report is not None
    return {name for name, state in report.states.items() if state == "run"}


def products(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for top in ("dist", "reports")
        for path in sorted((folder / top).rglob("*"))
        if path.is_file()
    }


def test_the_result_is_that_of_a_whole_build(
    built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole_states = whole(built).states.keys()
    write_model(built / "a.onnx", 7)
    with monkeypatch.context() as patched:
        patched.setattr(opening, "load", None)  # nothing loads the manifest
        report = rebuilt(built)
    assert {name.split(":")[0].split("@")[0].split("/")[0] for name in ran(report)} == {"a", "pa"}
    assert report is not None and report.ok and report.states.keys() == whole_states
    assert [package.changed for package in report.packages] == [True, False]
    fresh = tmp_path / "fresh"
    write(fresh)
    write_model(fresh / "a.onnx", 7)
    of_fresh = whole(fresh)
    assert products(built) == products(fresh)
    assert report.to_json()["packages"] == of_fresh.to_json()["packages"]
    assert list(report.states) == list(of_fresh.states)
    settled = unchanged(built, "models.yaml")
    assert settled is not None and settled.to_json()["packages"] == of_fresh.to_json()["packages"]
    assert ran(whole(built)) == set(), "a build that remembers nothing finds nothing to do either"


@pytest.mark.parametrize("refused", [None, ModelbuildError("it refuses"), OSError(5, "Input/output error")])
def test_a_product_whose_gate_passed_is_put_in_place_while_its_report_is_written(
    built: Path, monkeypatch: pytest.MonkeyPatch, refused: Exception | None
) -> None:
    """Where the disk refuses just then, it is tried again at the end, once, as if nothing had been."""
    tried = []
    before, seen = products(built), dict[str, bytes]()
    write_model(built / "a.onnx", 7)

    def refuse(*_: object) -> None:
        tried.append(refused)
        assert refused is not None
        raise refused

    def observe(event: Event) -> None:
        if event.action == "pa:report" and event.kind == "finished":
            seen.update(products(built))

    if refused:
        monkeypatch.setattr(republishing, "publish_passed", refuse)
    report = Rebuilding(str(built), "models.yaml", (), (), ONE).build(observe, lambda warnings: None)
    assert report is not None and report.ok
    assert [package.changed for package in report.packages] == [True, False]
    assert [package.report for package in report.packages] == list(PLACES)
    after = products(built)
    made = {name for name in after if name.startswith("dist/pa/") and after[name] != before[name]}
    told = {name for name in after if name.startswith("reports/pa/") and after[name] != before[name]}
    assert made and told and tried == [refused] * bool(refused)
    assert all(seen[name] == (before if refused else after)[name] for name in made)
    assert all(seen[name] == before[name] for name in told)


def test_a_changed_sample_concerns_all_that_read_it(built: Path) -> None:
    shutil.copyfile(built / "data/0.npy", built / "data/1.npy")
    report = rebuilt(built)
    assert {"a@cam:observe", "b@eye:observe"} <= ran(report) and "a@cam:lower" not in ran(report)
    assert unchanged(built, "models.yaml") is not None and ran(whole(built)) == set()


def test_products_are_put_back_and_nothing_runs(built: Path) -> None:
    before = products(built)
    (built / "dist/pa/a.json").write_text("altered")
    shutil.rmtree(built / "reports/pb")
    report = rebuilt(built)
    assert ran(report) == set() and products(built) == before
    assert report is not None and [package.changed for package in report.packages] == [True, False]
    assert unchanged(built, "models.yaml") is not None


def test_what_made_a_lost_result_runs_again(built: Path) -> None:
    state = built / ".modelbuild"
    before = products(built)
    project = open_project(built)
    result = project.builder.build(project.plan.actions, ["a@cam:compile"], jobs=1)
    project.builder.output(result, "a@cam:compile", "weights.bin").unlink()
    assert "a@cam:compile" in ran(rebuilt(built)) and products(built) == before
    record = next((state / "records").rglob("*.json"))
    record.write_bytes(record.read_bytes()[:-1])
    report = rebuilt(built)
    assert report is not None and report.ok and products(built) == before
    assert unchanged(built, "models.yaml") is not None


@pytest.mark.parametrize("damage", ["model", "sample", "pointer", "gone"])
def test_errors_read_as_those_of_a_whole_build(built: Path, damage: str) -> None:
    if damage == "pointer":
        (built / "a.onnx").write_text("version https://git-lfs.github.com/spec/v1\n")
    elif damage == "gone":
        (built / "a.onnx").unlink()
    elif damage == "model":
        (built / "a.onnx").write_text("no model")
    else:
        np.save(built / "data/0.npy", np.zeros((1, 5), np.float32))
    report = rebuilt(built)
    if damage in ("pointer", "gone"):
        assert report is None, "loading says it with its place in the manifest"
        with pytest.raises(ModelbuildError, match=r"models\.yaml:4:"):
            open_project(built)
        return
    assert report is not None and not report.ok and not (built / "dist/pa").exists()
    again = whole(built)
    assert [(name, str(error)) for name, error in report.failures] == [
        (name, str(error)) for name, error in again.failures
    ]
    assert report.failures and report.exit_code == again.exit_code
    ended = [{n for n, s in one.states.items() if s == "failed"} for one in (report, again)]
    assert ended[0] == ended[1]
    assert report.to_json()["packages"] == again.to_json()["packages"]
    assert (built / "dist/.stale/pa").is_dir() and unchanged(built, "models.yaml") is None


def test_what_is_locked_dry_or_unknown_is_not_built_so(built: Path) -> None:
    for options in (BuildOptions(locked=True), BuildOptions(dry_run=True), BuildOptions(remeasure=True)):
        assert not Rebuilding(str(built), "models.yaml", (), (), options).is_known
    assert Rebuilding(str(built), "models.yaml", (), (), ONE).is_known
    assert not Rebuilding(str(built), "models.yaml", ("pa",), (), ONE).is_known
