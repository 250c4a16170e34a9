"""`check` of what is staged: its findings, and what it leaves beside the builds of the work tree."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import pytest

from modelbuild.build import lock
from modelbuild.build.result import Event
from modelbuild.errors import ModelbuildError
from modelbuild.project.building import build, clean
from modelbuild.project.layout import MIRROR_LOCK, RECORDED
from modelbuild.project.project import open_project
from modelbuild.project.staged_check import check_staged
from tests.project.git_harness import TEXT, Git, project_repository
from tests.project.small_project import write_manifest, write_model


@pytest.fixture
def git(tmp_path: Path) -> Git:
    return project_repository(tmp_path / "r", "sub")


@pytest.fixture
def project(git: Git) -> Path:
    return git.folder / "sub"


def test_results_are_shared_with_builds_and_history_is_not(project: Path) -> None:
    assert check_staged(project).ok
    report = build(open_project(project))
    assert report.states["small@cam:check"] == "cached" and report.count("run") > 5
    history = (project / ".modelbuild/history.jsonl").read_bytes()
    write_model(project / "models/small.onnx", seed=9)
    assert check_staged(project).ok
    assert (project / ".modelbuild/history.jsonl").read_bytes() == history
    assert not (project / RECORDED / "tree").exists()


def test_findings_have_the_work_trees_places(git: Git, project: Path) -> None:
    (project / "models/small.onnx").write_bytes(b"broken")
    git("add", "--all")
    write_model(project / "models/small.onnx")
    report = check_staged(project)
    (finding,) = [one for one in report.findings if one["severity"] == "error"]
    assert (report.exit_code, finding["where"]) == (2, "models/small.onnx")
    assert "recorded" not in str(finding)


def test_a_manifest_in_a_shared_folder_of_recipes(git: Git, project: Path) -> None:
    """Files beside the project's folder come from the index too."""
    (git.folder / "recipes").mkdir()
    (git.folder / "recipes/cam.yaml").write_text("chip: cam\nextends: kl720\n")
    write_manifest(project, TEXT.replace("chip: kl720", "chip: ../recipes/cam.yaml"))
    git("add", "--all")
    (git.folder / "recipes/cam.yaml").write_text("chip: cam\nextends: kl99\n")
    assert check_staged(project).ok
    git("add", "--all")
    (git.folder / "recipes/cam.yaml").write_text("chip: cam\nextends: kl720\n")
    with pytest.raises(ModelbuildError, match="unknown chip `kl99`"):
        check_staged(project)


def test_a_recipe_that_extends_one_in_the_folder_above(git: Git, project: Path) -> None:
    (project / "chips/deep").mkdir(parents=True)
    (project / "chips/deep/cam.yaml").write_text("chip: cam\nextends: ../base.yaml\n")
    (project / "chips/base.yaml").write_text("chip: base\nextends: kl99\n")
    write_manifest(project, TEXT.replace("chip: kl720", "chip: chips/deep/cam.yaml"))
    git("add", "--all")
    (project / "chips/base.yaml").write_text("chip: base\nextends: kl720\n")
    with pytest.raises(ModelbuildError, match="unknown chip `kl99`"):
        check_staged(project)


def test_without_a_repository_and_without_a_staged_manifest(git: Git, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    with pytest.raises(ModelbuildError, match="in no git repository"):
        check_staged(outside)
    with pytest.raises(ModelbuildError, match="is not staged") as caught:
        check_staged(git.folder)
    assert (
        caught.value.exit_code == 2 and caught.value.problems[0].advice == "name the project's folder with -C"
    )


def test_a_check_does_not_wait_for_a_build(project: Path) -> None:
    assert check_staged(project).ok
    with lock.held(project / ".modelbuild/lock", lambda: None):
        assert check_staged(project).ok


@pytest.mark.parametrize("verb", [check_staged, clean])
def test_checks_and_clean_wait_for_a_check_that_runs(project: Path, verb: object) -> None:
    assert check_staged(project).ok
    waits = threading.Event()

    def observe(event: Event) -> None:
        if event.kind == "waiting":
            waits.set()

    def run() -> None:
        verb(project, observer=observe)  # type: ignore[operator]

    thread = threading.Thread(target=run)
    with lock.held(project / MIRROR_LOCK, lambda: None):
        thread.start()
        assert waits.wait(300)
        assert (project / RECORDED).is_dir()
    thread.join(300)
    assert (project / RECORDED).is_dir() == (verb is check_staged)


def test_what_a_killed_check_left_is_in_nobodys_way(project: Path) -> None:
    left = project / RECORDED / "tree/sub"
    left.mkdir(parents=True)
    (left / "models.yaml").write_text("nonsense")
    (project / "more.yaml").write_text("modelbuild: 1\n")
    write_manifest(project, TEXT + 'include: "**/*.yaml"\n')
    open_project(project)  # the work tree's includes do not find it
    assert check_staged(project).ok
    assert not left.exists()


def test_globs_go_down_folders_that_the_mirror_links(git: Git, project: Path) -> None:
    (project / "data/deep/er").mkdir(parents=True)
    shutil.copy(project / "data/0.npy", project / "data/deep/er/7.npy")
    text = TEXT.replace('"data/*.npy"', '"data/**/*.npy"')
    write_manifest(project, text.replace("calibration: some", "calibration: {set: some, count: 3}"))
    git("add", "--all")
    (project / "data/0.npy").write_bytes(b"differs from the index")
    assert check_staged(project).ok
    git("rm", "-q", "--cached", "sub/data/deep/er/7.npy")
    with pytest.raises(ModelbuildError, match="3 calibration samples asked for, the set `some` has 2"):
        check_staged(project)
