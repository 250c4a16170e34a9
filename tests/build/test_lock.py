"""One writer at a time, and a lock that guards the folder that is there now."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from build_harness import Project, action

from modelbuild.build import lock
from modelbuild.errors import ModelbuildError

HOLDER = """
import sys
from pathlib import Path
from modelbuild.build import lock
with lock.held(Path(sys.argv[1]), lambda: print("waiting", flush=True)):
    print("held", flush=True)
    sys.stdin.readline()
"""


def holder(path: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def end(process: subprocess.Popen[str]) -> None:
    process.communicate("go\n")


def test_the_second_waits_and_a_killed_holder_leaves_no_lock(tmp_path: Path) -> None:
    first = holder(tmp_path / "state" / "lock")
    assert line(first) == "held\n"
    second = holder(tmp_path / "state" / "lock")
    assert line(second) == "waiting\n"
    first.kill()
    assert line(second) == "held\n"
    end(second)
    first.communicate()


def test_who_waited_for_a_folder_that_was_removed_locks_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "state" / "lock"
    first = holder(path)
    assert line(first) == "held\n"
    second = holder(path)
    assert line(second) == "waiting\n"
    shutil.rmtree(path.parent)
    end(first)
    assert line(second) == "held\n"
    third = holder(path)
    assert line(third) == "waiting\n"
    end(second)
    assert line(third) == "held\n"
    end(third)


def test_a_place_that_cannot_hold_a_lock_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(ModelbuildError, match="cannot open the lock file") as caught,
        lock.held(tmp_path / "file" / "lock", lambda: None),
    ):
        pass
    assert caught.value.exit_code == 1


def test_without_flock_looking_works_and_building_says_why_not(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "fcntl", None)
    actions = [action("a")]
    assert str(project.builder.status(actions, ["a"])["a"]) == "out of date"
    assert project.builder.why(actions, "a").next.verdict == "never built"
    assert project.build(actions, dry_run=True).counts["would_run"] == 1
    with pytest.raises(ModelbuildError, match="only POSIX systems have") as caught:
        project.build(actions)
    assert caught.value.exit_code == 1
    assert not project.state.exists()
