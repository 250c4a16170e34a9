"""Hooks at work: real commits, merges, checkouts and pushes through the real command."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from modelbuild.project import background, hooks
from modelbuild.project.building import build
from modelbuild.project.hook_runs import run
from modelbuild.project.project import open_project
from modelbuild.project.staged_check import check_staged
from tests.project.git_harness import TEXT, Git, project_repository, repository
from tests.project.small_project import write_model

LONG = partial(pytest.param, marks=pytest.mark.long)


@pytest.fixture(scope="session")
def built_repository(tmp_path_factory: pytest.TempPathFactory) -> Git:
    """A repository with a project in a folder of its own, built, and hooks. Not to be changed: take `git`."""
    git = project_repository(tmp_path_factory.mktemp("built") / "a repository", "sub dir")
    hooks.install(git.folder / "sub dir", "models.yaml")
    assert check_staged(git.folder / "sub dir").ok
    assert build(open_project(git.folder / "sub dir")).ok
    return git


@pytest.fixture
def git(built_repository: Git, tmp_path: Path) -> Git:
    """A copy that a test may change."""
    shutil.copytree(built_repository.folder, tmp_path / "a repository", symlinks=True)
    (tmp_path / "home").mkdir()
    git = Git(tmp_path / "a repository", tmp_path / "home")
    git("update-index", "-q", "--refresh")
    return git


@pytest.fixture
def project(git: Git) -> Path:
    """The project's folder."""
    return git.folder / "sub dir"


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def commits(git: Git, *arguments: str, **more: str) -> tuple[bool, str]:
    """Whether a commit was made, and what was said."""
    before = git.run("rev-parse", "HEAD").stdout
    done = git.run("commit", "-q", "-m", "change", *arguments, **more)
    assert "Traceback" not in done.stderr
    assert (git.run("rev-parse", "HEAD").stdout != before) == (done.returncode == 0)
    return done.returncode == 0, done.stderr


def judged(git: Git, *arguments: str) -> tuple[bool, str]:
    """As `commits`, with the hook in this process: that saves starting one."""
    said: list[str] = []
    if "--all" in arguments:
        git("add", "--update")
    with contextlib.chdir(git.folder):
        code = run("pre-commit", git.folder / ".git/hooks/pre-commit", (), "", said.append)
    if code == 0:
        git("commit", "-q", "--no-verify", "--allow-empty", "-m", "change")
    return code == 0, "\n".join(said)


BROKEN = TEXT.replace("kl720", "kl99")


class TestBeforeACommit:
    def test_broken_in_the_index_and_good_in_the_work_tree_is_refused(self, git: Git, project: Path) -> None:
        write(project / "models.yaml", "modelbuild: 1\n" + BROKEN)
        git("add", "--all")
        write(project / "models.yaml", "modelbuild: 1\n" + TEXT)
        made, said = commits(git)
        assert not made and "models.yaml:4:23: unknown chip `kl99`" in said

    def test_good_in_the_index_and_broken_in_the_work_tree_passes(self, git: Git, project: Path) -> None:
        write(project / "models.yaml", "modelbuild: 1\n# changed\n" + TEXT)
        git("add", "--all")
        write(project / "models.yaml", "modelbuild: 1\n" + BROKEN)
        assert commits(git) == (True, "")
        assert "kl99" in (project / "models.yaml").read_text()

    def test_commit_all_and_commit_of_a_path_judge_what_they_take(self, git: Git, project: Path) -> None:
        write(project / "models.yaml", "modelbuild: 1\n" + BROKEN)
        write(git.folder / "README", "x")
        assert not commits(git, "--all")[0]
        assert not commits(git, "sub dir/models.yaml")[0]
        git("add", "README")
        assert commits(git) == (True, "")

    def test_no_verify(self, git: Git, project: Path) -> None:
        write(project / "models.yaml", "modelbuild: 1\n" + BROKEN)
        assert commits(git, "--all", "--no-verify")[0]

    def test_a_model_that_was_replaced_is_judged_as_staged(self, git: Git, project: Path) -> None:
        model = project / "models/small.onnx"
        good = model.read_bytes()
        model.write_bytes(b"broken")
        git("add", "--all")
        model.write_bytes(good)
        made, said = judged(git)
        assert not made and "not an ONNX file" in said and "an error in what is staged" in said
        write_model(model, seed=2)
        git("add", "--all")
        model.write_bytes(b"broken")
        assert judged(git) == (True, "")

    def test_a_file_that_git_was_not_told_of(self, git: Git, project: Path) -> None:
        write(project / "models.yaml", "modelbuild: 1\n" + TEXT.replace("small.onnx", "new.onnx"))
        shutil.copy(project / "models/small.onnx", project / "models/new.onnx")
        made, said = judged(git, "--all")
        assert not made
        assert "models/new.onnx does not exist" in said and "`git add 'sub dir/models/new.onnx'`" in said
        git("add", "-N", "sub dir/models/new.onnx")  # announced is not staged
        git("add", "--all")
        assert judged(git)[0]

    def test_a_staged_deletion_breaks_what_needs_the_file(self, git: Git) -> None:
        git("rm", "-q", "--cached", "sub dir/models/small.onnx")  # it lies in the work tree still
        made, said = judged(git)
        assert not made and "the model models/small.onnx does not exist" in said

    @pytest.mark.long
    def test_a_renamed_model(self, git: Git, project: Path) -> None:
        git("mv", "sub dir/models/small.onnx", "sub dir/models/other.onnx")
        assert not judged(git)[0]
        write(project / "models.yaml", "modelbuild: 1\n" + TEXT.replace("small.onnx", "other.onnx"))
        assert judged(git, "--all") == (True, "")

    def test_samples_that_git_ignores_are_taken_as_they_lie(self, git: Git, project: Path) -> None:
        git("rm", "-rq", "--cached", "sub dir/data")
        made, said = judged(git)
        assert not made and "no sample file matches" in said and "git add" in said
        write(project / ".gitignore", "data/\n")
        git("add", "sub dir/.gitignore")
        assert judged(git) == (True, "")

    def test_a_sample_that_was_forgotten_is_a_warning(self, git: Git, project: Path) -> None:
        shutil.copy(project / "data/0.npy", project / "data/9.npy")
        write(project / "models.yaml", "modelbuild: 1\n# changed\n" + TEXT)
        made, said = judged(git, "--all")
        assert made and "1 file of the sample set `some` in the work tree, not in git: data/9.npy" in said

    @pytest.mark.long
    def test_an_lfs_pointer_in_the_index(self, git: Git, project: Path) -> None:
        pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 5\n"
        model = project / "models/small.onnx"
        good = model.read_bytes()
        write(model, pointer)
        git("add", "--all")
        model.write_bytes(good)
        made, said = judged(git)
        assert not made and "Git LFS pointer" in said

    def test_external_weights_beside_a_partly_staged_model(self, git: Git, project: Path) -> None:
        model = project / "models/small.onnx"
        write_model(model, seed=2, external=True)
        git("add", "--all")
        assert judged(git) == (True, "")
        write_model(model, seed=3, external=True)
        git("add", "sub dir/models/small.onnx")
        model.write_bytes(b"broken")
        assert judged(git) == (True, "")
        git("rm", "-q", "--cached", "sub dir/models/weights.bin")
        made, said = judged(git)
        assert not made and "weights.bin" in said

    def test_another_projects_breakage_stops_no_commit(self, git: Git, project: Path) -> None:
        write(project / "models.yaml", "modelbuild: 1\n" + BROKEN)
        git.commit("broken on purpose")
        write(git.folder / "README", "x")
        git("add", "--all")
        made, said = judged(git)
        assert made and "models.yaml was broken before this commit" in said
        write(project / "models.yaml", "modelbuild: 1\n# still\n" + BROKEN)
        assert not judged(git, "--all")[0]

    def test_a_branch_without_the_manifest(self, git: Git, project: Path) -> None:
        git("rm", "-rq", "sub dir")
        assert commits(git) == (True, "")

    @pytest.mark.long
    def test_the_first_commit_of_a_repository(self, tmp_path: Path, git: Git) -> None:
        shutil.rmtree(git.folder / ".git")
        git("init", "-q")
        hooks.install(git.folder / "sub dir", "models.yaml")
        git("add", "--all")
        assert git.run("commit", "-q", "-m", "first").returncode == 0
        (git.folder / "sub dir/models/small.onnx").write_bytes(b"broken")
        assert git.run("commit", "-q", "--amend", "--all", "-m", "first").returncode == 1

    def test_a_linked_work_tree_is_judged_by_its_own_index(self, git: Git, tmp_path: Path) -> None:
        git("worktree", "add", "-q", "-b", "second", str(tmp_path / "second"))
        second = Git(tmp_path / "second", git.home)
        write(second.folder / "sub dir/models.yaml", "modelbuild: 1\n" + BROKEN)
        write(git.folder / "README", "x")
        git("add", "--all")
        assert commits(git) == (True, "")
        assert not commits(second, "--all")[0]
        write(second.folder / "sub dir/models.yaml", "modelbuild: 1\n# good\n" + TEXT)
        assert commits(second, "--all") == (True, "")

    def test_with_the_path_of_a_graphical_client(self, git: Git, project: Path) -> None:
        write(project / "models.yaml", "modelbuild: 1\n" + BROKEN)
        made, said = commits(git, "--all", PATH="/usr/bin:/bin")
        assert not made and "unknown chip" in said

    @pytest.mark.long
    def test_a_package_in_the_repository_cannot_stand_in_for_ours(self, git: Git, project: Path) -> None:
        for name in ("modelbuild", "yaml", "json"):
            write(git.folder / name / "__init__.py", "raise SystemExit(3)\n")
        write(project / "models.yaml", "modelbuild: 1\n# changed\n" + TEXT)
        git("add", "--all")
        assert commits(git) == (True, "")


class TestNothingToCheck:
    """The mirror is not made where the commit concerns no model: a mark in it would be gone."""

    def passes_at_once(self, git: Git, project: Path, *arguments: str) -> bool:
        mark = project / ".modelbuild/recorded/tree/mark"
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.touch()
        assert judged(git, *arguments)[0]
        return mark.exists()

    def test_after_a_check_that_passed(self, git: Git, project: Path) -> None:
        write(git.folder / "README", "1")
        git("add", "--all")
        assert not self.passes_at_once(git, project)  # nothing is known yet
        write(project / "models.yaml", "modelbuild: 1\n# changed\n" + TEXT)
        git("add", "--all")
        assert not self.passes_at_once(git, project)
        for name in ("README", "sub dir/README", "sub dir/src/main.c", "other/models.yaml", "dependabot.yml"):
            write(git.folder / name, "2")
            git("add", "--all")
            assert self.passes_at_once(git, project), name
        assert self.passes_at_once(git, project, "--allow-empty")

    @pytest.mark.parametrize(
        "name",
        [
            "sub dir/data/2.npy",
            *map(LONG, ("sub dir/models.yaml", "sub dir/models/small.onnx", "sub dir/more.yaml")),
        ],
    )
    def test_what_the_project_reads_is_looked_at(self, git: Git, project: Path, name: str) -> None:
        write(project / "models.yaml", "modelbuild: 1\n# changed\n" + TEXT)
        git("add", "--all")
        assert not self.passes_at_once(git, project)
        if name.endswith(".yaml"):
            write(git.folder / name, "modelbuild: 1\n# once more\n" + TEXT)
        elif name.endswith(".onnx"):
            write_model(git.folder / name, seed=5)
        else:
            shutil.copy(project / "data/0.npy", git.folder / name)
        git("add", "--all")
        assert not self.passes_at_once(git, project)

    @pytest.mark.long
    def test_found_weights_are_looked_at(self, git: Git, project: Path) -> None:
        write_model(project / "models/small.onnx", seed=2, external=True)
        git("add", "--all")
        assert judged(git)[0]
        write(project / "models/notes.txt", "x")
        git("add", "--all")
        assert self.passes_at_once(git, project)
        (project / "models/weights.bin").write_bytes(b"short")
        git("add", "--all")
        made, said = judged(git)
        assert not made and "weights" in said


def wait_for_background(project: Path) -> str:
    """The log of the builds in the background, once none is wanted and none runs."""
    folder = project / background.FOLDER
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT)
    try:
        while True:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if not list(folder.glob("wanted.*")):
                return (project / background.LOG).read_text()
            fcntl.flock(descriptor, fcntl.LOCK_UN)
            select.select([], [], [], 0.02)  # a process that was started has yet to take the lock
    finally:
        os.close(descriptor)


@pytest.fixture
def branches(git: Git, project: Path) -> Git:
    """Built on `main`; on `other` the gate differs; `main` is checked out."""
    subprocess.run([*hooks.own_command(), "-q", "-C", str(project), "build"], check=True)
    git("checkout", "-q", "-b", "other")
    write(project / "models.yaml", "modelbuild: 1\n" + TEXT.replace("snr_db: 5", "snr_db: 6"))
    git.commit("another gate")
    git("checkout", "-q", "main")
    return git


REBUILDING = "modelbuild: rebuilding in the background; it tells sub dir/.modelbuild/background/log"


def lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if "modelbuild" in line]


class TestBehindACheckout:
    def test_a_switch_of_branches_rebuilds_and_says_so_in_a_line(self, branches: Git, project: Path) -> None:
        done = branches.run("checkout", "-q", "other")
        assert (done.returncode, done.stderr) == (0, REBUILDING + "\n")
        assert wait_for_background(project).startswith("built: ")
        (gate,) = (project / "reports").glob("*/report.json")
        assert '"bound": 6' in gate.read_text() or "6" in gate.read_text()

    def test_what_changes_nothing_is_silent(self, branches: Git, project: Path) -> None:
        write(branches.folder / "README", "x")
        branches.commit()
        for words in (
            ["checkout", "-q", "HEAD~1"],
            ["checkout", "-q", "main"],
            ["checkout", "-q", "-b", "new"],
            ["checkout", "-q", "other", "--", "sub dir/models.yaml"],  # flag 0: single files
            ["reset", "-q", "--hard"],
            ["stash", "list"],
        ):
            assert branches.run(*words).stderr == "", words
        assert not (project / background.FOLDER).exists()

    def test_a_merge(self, branches: Git, project: Path) -> None:
        done = branches.run("merge", "-q", "other")
        assert done.stderr == REBUILDING + "\n"
        assert wait_for_background(project).startswith("built: ")
        assert branches.run("merge", "-q", "other").stderr == ""  # already up to date

    def test_what_was_never_built_is_not_built(self, git: Git, project: Path, tmp_path: Path) -> None:
        shutil.rmtree(project / ".modelbuild")
        git("checkout", "-q", "-b", "other")
        write(project / "models.yaml", "modelbuild: 1\n# changed\n" + TEXT)
        git.commit()
        assert git.run("checkout", "-q", "main").stderr == ""
        assert "modelbuild:" not in git.run("worktree", "add", "-q", str(tmp_path / "w"), "other").stderr
        assert not (tmp_path / "w/sub dir/.modelbuild").exists()

    def test_a_rebase_builds_once_and_after_it(self, branches: Git, project: Path) -> None:
        write(branches.folder / "README", "x")
        branches.commit()
        done = branches.run("rebase", "-q", "other")
        assert done.returncode == 0 and lines(done.stderr) == [REBUILDING]
        assert wait_for_background(project).count("built: ") == 1

    @pytest.mark.long
    def test_a_bisection_builds_nothing(self, branches: Git, project: Path) -> None:
        for number in range(4):
            write(project / "models.yaml", f"modelbuild: 1\n# {number}\n" + TEXT)
            branches.commit(str(number))
        branches("bisect", "start", "-q", "HEAD", "HEAD~4")
        for verdict in ("bad", "good"):
            assert lines(branches.run("bisect", verdict).stderr) == []
        assert not (project / background.FOLDER).exists()

    def test_triggers_while_a_build_runs_become_one_more_build(self, branches: Git, project: Path) -> None:
        from modelbuild.build import lock

        with lock.held(project / ".modelbuild/lock", lambda: None):  # the build waits for its turn
            assert lines(branches.run("checkout", "-q", "other").stderr) == [REBUILDING]
            said = [branches.run("checkout", "-q", name).stderr for name in ("main", "other", "main")]
        assert said == ["", "", ""] or said.count(REBUILDING + "\n") == 0
        log = wait_for_background(project)
        assert 1 <= log.count("built: ") <= 2 and "not built" not in log

    @pytest.mark.long
    def test_a_build_that_fails_is_told_in_the_log_alone(self, branches: Git, project: Path) -> None:
        branches("checkout", "-q", "-b", "worse")
        write(project / "models.yaml", "modelbuild: 1\n" + BROKEN)
        branches.commit()
        wait = branches.run("checkout", "-q", "main")
        assert wait.returncode == 0
        done = branches.run("checkout", "-q", "worse")
        assert (done.returncode, lines(done.stderr)) == (0, [REBUILDING])
        assert "unknown chip" in wait_for_background(project)

    @pytest.mark.long
    def test_the_next_checkout_waits_for_nobody(self, branches: Git, project: Path) -> None:
        from modelbuild.build import lock

        with lock.held(project / ".modelbuild/lock", lambda: None):
            branches("checkout", "-q", "other")  # returns although the build cannot begin
            assert background.is_running(project) or list((project / background.FOLDER).glob("wanted.*"))
        wait_for_background(project)
        assert not background.is_running(project)


class TestBeforeAPush:
    @pytest.fixture
    def pushing(self, branches: Git, tmp_path: Path) -> Git:
        """The two branches, and an empty repository to push to."""
        bare = repository(tmp_path / "unused", {})
        shutil.rmtree(bare.folder)
        bare.folder.mkdir()
        bare("init", "-q", "--bare")
        branches("remote", "add", "origin", str(bare.folder))
        return branches

    def refs(self, git: Git) -> list[str]:
        return [line.split("\t")[1] for line in git("ls-remote", "origin").splitlines() if "HEAD" not in line]

    def test_what_builds_is_pushed(self, pushing: Git) -> None:
        done = pushing.run("push", "-q", "origin", "main", "other")
        assert done.returncode == 0, done.stderr
        assert self.refs(pushing) == ["refs/heads/main", "refs/heads/other"]

    def test_the_pushed_commit_counts_and_not_the_work_tree(self, pushing: Git, project: Path) -> None:
        write(project / "models.yaml", "modelbuild: 1\n" + BROKEN)
        assert pushing.run("push", "-q", "origin", "main").returncode == 0
        pushing("checkout", "-q", "-b", "worse")
        pushing.commit()
        write(project / "models.yaml", "modelbuild: 1\n" + TEXT)
        done = pushing.run("push", "-q", "origin", "worse")
        assert done.returncode == 1 and "unknown chip `kl99`" in done.stderr
        assert "the push stops, for models.yaml does not build" in done.stderr
        assert self.refs(pushing) == ["refs/heads/main"]
        assert pushing.run("push", "-q", "--no-verify", "origin", "worse").returncode == 0

    def test_a_gate_that_fails_stops_the_push(self, pushing: Git, project: Path) -> None:
        write(project / "models.yaml", "modelbuild: 1\n" + TEXT.replace("snr_db: 5", "snr_db: 199"))
        pushing.commit()
        for where in ("in place", "beside"):
            done = pushing.run("push", "-q", "origin", "main")
            assert done.returncode == 1, where
            assert "the push stops, for models.yaml does not build" in done.stderr
            assert "(there is no modelbuild.lock)" in done.stderr
            write(project / "models/unknown.yaml", "x")

    @pytest.mark.long
    def test_what_git_was_not_told_of_is_not_pushed(self, pushing: Git, project: Path) -> None:
        shutil.copy(project / "models/small.onnx", project / "models/new.onnx")
        write(project / "models.yaml", "modelbuild: 1\n" + TEXT.replace("small.onnx", "new.onnx"))
        pushing("commit", "-q", "--all", "--no-verify", "-m", "forgot the model")
        done = pushing.run("push", "-q", "origin", "main")
        assert done.returncode == 1 and "models/new.onnx does not exist" in done.stderr

    @pytest.mark.parametrize(
        "words", [["--delete", "origin", "gone"], *map(LONG, (["origin", "v1"], ["origin", "empty"]))]
    )
    def test_deletions_tags_and_other_branches_build_nothing(
        self, pushing: Git, project: Path, words: list[str]
    ) -> None:
        pushing("push", "-q", "--no-verify", "origin", "main:gone")
        pushing("checkout", "-q", "--orphan", "empty")
        pushing("rm", "-rfq", ".")
        pushing("commit", "-q", "--allow-empty", "-m", "pages")
        pushing("checkout", "-q", "main")
        write(project / "models.yaml", "modelbuild: 1\n" + BROKEN)
        pushing.commit()
        pushing("tag", "v1")
        assert pushing.run("push", "-q", *words).returncode == 0

    @pytest.mark.long
    def test_with_a_lock_the_build_is_locked(self, pushing: Git, project: Path) -> None:
        write(project / "modelbuild.lock", "no lock at all\n")
        pushing.commit()
        done = pushing.run("push", "-q", "origin", "main")
        assert done.returncode == 1 and "modelbuild.lock" in done.stderr


HEAVY = {"numpy", "onnx", "onnxruntime", "pydantic", "yaml", "rich", "jinja2", "dataclasses", "asyncio"}


@pytest.mark.parametrize(
    "words",
    [
        ["pre-commit"],
        ["post-checkout", "1", "2", "1"],
        *map(LONG, (["post-merge", "0"], ["pre-push", "origin", "url"])),
    ],
)
def test_a_hook_without_work_imports_nothing_heavy(branches: Git, project: Path, words: list[str]) -> None:
    write(project / "models.yaml", "modelbuild: 1\n# for the check to pass\n" + TEXT)
    assert judged(branches, "--all")[0]
    subprocess.run([*hooks.own_command(), "-q", "-C", str(project), "build"], check=True)
    write(branches.folder / "README", "x")
    branches("add", "README")
    hook, *arguments = words
    script = str(branches.folder / ".git/hooks" / hook)
    (command,) = hooks.own_command()
    done = subprocess.run(
        [sys.executable, "-X", "importtime", command, "hooks", "run", hook, script, "--", *arguments],
        cwd=branches.folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "modelbuild.project.hook_runs" in imported
    assert not HEAVY & imported
