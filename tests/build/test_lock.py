"""One writer at a time, and a lock that guards the folder that is there now."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from build_harness import Project, action

from modelbuild.build import lock
from modelbuild.build.result import Event
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


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.EBADF])
def test_a_file_system_without_locks_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """NFS whose lock service is not there, and file systems that have none."""

    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with (
        pytest.raises(ModelbuildError, match="the file system there has no locks") as caught,
        lock.held(tmp_path / "state" / "lock", lambda: None),
    ):
        pass
    assert str(tmp_path / "state" / "lock") in str(caught.value)
    assert "make .modelbuild a link to a folder on a local disk" in str(caught.value)
    assert caught.value.exit_code == 1


def test_a_file_system_that_refuses_the_second_who_waits_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited = []

    def busy_then_gone(descriptor: int, operation: int) -> None:
        if operation & fcntl.LOCK_NB:
            raise BlockingIOError(errno.EWOULDBLOCK, "busy")
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(fcntl, "flock", busy_then_gone)
    with (
        pytest.raises(ModelbuildError, match=r"cannot lock .*state/lock") as caught,
        lock.held(tmp_path / "state" / "lock", lambda: waited.append(True)),
    ):
        pass
    assert waited == [True]
    assert "Input/output error" in str(caught.value)


REMOVALS = {
    "the lock file": lambda state: (state / "lock").unlink(),
    "the lock file, and there is another": lambda state: (
        (state / "lock").unlink(),
        (state / "lock").touch(),
    ),
    "the folder": shutil.rmtree,
    "the folder, by another name": lambda state: state.rename(state.with_name("moved")),
}


@pytest.mark.parametrize("removal", REMOVALS)
def test_a_lock_that_is_lost_while_a_build_runs_is_told(project: Project, removal: str) -> None:
    """The build fails, and does not make the folder anew beside another build's."""
    actions = [action("a"), action("b", inputs={"x": "@a"})]

    def remove(event: Event) -> None:
        if event.kind == "finished" and event.action == "a":
            REMOVALS[removal](project.state)

    with pytest.raises(ModelbuildError, match="was removed while this build used the folder") as caught:
        project.build(actions, jobs=1, observer=remove)
    assert caught.value.exit_code == 1 and "build again" in str(caught.value)
    assert "modelbuild clean" in str(caught.value)
    assert not (project.state / "stat_cache").exists()
    assert project.text(project.build(actions), "b") == "(x=())"


def test_who_only_holds_the_lock_notices_its_loss_too(project: Project) -> None:
    result = project.build([action("a")])
    with (
        pytest.raises(ModelbuildError, match="was removed while this build used the folder"),
        project.builder.hold(),
    ):
        shutil.rmtree(project.state)
        project.builder.publish({"text": result.outputs["a"]["text"]}, Path("dist/p"))
    assert not (project.root / "dist/p").exists()


def test_the_state_may_be_a_link_to_another_disk(project: Project, tmp_path: Path) -> None:
    other = Path("/dev/shm") if os.access("/dev/shm", os.W_OK) else tmp_path
    with tempfile.TemporaryDirectory(dir=other) as elsewhere:
        project.state.symlink_to(elsewhere)
        actions = [action("a"), action("b", "several")]
        for expected in ("run", "cached"):
            result = project.build(actions)
            assert set(result.states.values()) == {expected}
            changed = project.builder.publish({"m/text": result.outputs["a"]["text"]}, Path("dist/p"))
            assert changed is (expected == "run")
        assert (project.root / "dist/p/m/text").read_text() == "()"
        assert os.stat(project.root / "dist/p").st_dev != os.stat(elsewhere).st_dev or other == tmp_path  # noqa: PTH116
        assert project.builder.withdraw(Path("dist/p"), Path("dist/.stale/p"))
        project.builder.clean()
        assert project.state.is_symlink() and os.listdir(elsewhere) == ["lock"]  # noqa: PTH208
        assert not (project.root / "dist").exists()


@pytest.mark.parametrize("kind", ["a file", "a link to nothing", "a ring of links"])
def test_what_lies_in_the_place_of_the_state_is_told(project: Project, kind: str) -> None:
    if kind == "a file":
        project.state.write_text("mine")
    else:
        project.state.symlink_to("nowhere" if kind == "a link to nothing" else project.state.name)
    with pytest.raises(ModelbuildError, match=r"cannot open the lock file .*\.modelbuild/lock") as caught:
        project.build([action("a")])
    assert caught.value.exit_code == 1 and "  do:  " in str(caught.value)
    assert str(project.builder.status([action("a")], ["a"])["a"]) == "out of date"


def turn(path: Path) -> bytes:
    with lock.held(path, lambda: None) as held:
        return held.turn()


def test_each_turn_finds_what_the_one_before_left(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    turn(path)
    for _ in range(12):
        stood = path.read_bytes()
        assert turn(path) == stood != path.read_bytes()


@pytest.mark.parametrize("turns", [0, 3])
def test_a_turn_that_cannot_be_counted_makes_every_look_before_it_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, turns: int
) -> None:
    """As in a full disk, where `cache gc` and `clean` remove what somebody has just looked at."""
    path = tmp_path / "lock"
    path.touch()
    for _ in range(turns):
        turn(path)
    looked = path.read_bytes()

    def full(descriptor: int, data: bytes, offset: int) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "pwrite", full)
    assert turn(path) not in (looked, b"")
    looked_between = path.read_bytes()
    monkeypatch.undo()
    assert turn(path) not in (looked, looked_between)
