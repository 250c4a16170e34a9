"""What tests of hooks share: commits through the real hook, or with it in this process."""

from __future__ import annotations

import contextlib
import fcntl
from functools import partial
from pathlib import Path

import pytest

from modelbuild.project import background
from modelbuild.project.hook_runs import run
from tests.project.git_harness import TEXT, Git

LONG = partial(pytest.param, marks=pytest.mark.long)


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


def wait_for_background(project: Path) -> str:
    """The log of the builds in the background, once none runs; then none may be wanted."""
    folder = project / background.FOLDER
    with (folder / "lock").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert not list(folder.glob("wanted.*"))
        return (project / background.LOG).read_text()
