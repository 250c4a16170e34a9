"""The hooks behind checkouts, merges and rebases: builds in the background."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from modelbuild.project import background
from tests.project.git_harness import TEXT, Git
from tests.project.hook_calls import BROKEN, wait_for_background, write

REBUILDING = "modelbuild: rebuilding in the background; it tells sub dir/.modelbuild/background/log"


def lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if "modelbuild" in line]


class TestBehindACheckout:
    def test_a_switch_of_branches_rebuilds_and_says_so_in_a_line(self, branches: Git, project: Path) -> None:
        done = branches.run("checkout", "-q", "other")
        assert (done.returncode, done.stderr) == (0, REBUILDING + "\n")
        told = wait_for_background(project)
        commit = branches("rev-parse", "--short", "HEAD").strip()
        assert told.startswith("built: ") and told.endswith(f" of models.yaml at {commit}\n")
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
        assert said == ["", "", ""]
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
