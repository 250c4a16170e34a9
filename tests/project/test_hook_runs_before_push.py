"""The hook before a push: real pushes through the real command."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.project.git_harness import TEXT, Git, repository
from tests.project.hook_calls import BROKEN, LONG, write


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

    @pytest.mark.parametrize("flag", ["--assume-unchanged", "--skip-worktree"])
    def test_a_file_that_git_does_not_look_at(self, pushing: Git, project: Path, flag: str) -> None:
        write(project / "models.yaml", "modelbuild: 1\n" + BROKEN)
        pushing.commit()
        pushing("update-index", flag, "sub dir/models.yaml")
        write(project / "models.yaml", "modelbuild: 1\n" + TEXT)
        done = pushing.run("push", "-q", "origin", "main")
        assert done.returncode == 1 and "unknown chip `kl99`" in done.stderr

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
