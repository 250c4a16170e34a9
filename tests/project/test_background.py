"""Builds in the background: one at a time, and none that was asked for is forgotten."""

from __future__ import annotations

import fcntl
import os
import sys
from pathlib import Path

import pytest

from modelbuild.project import background

NOTHING = ("true",)  # a process that serves nobody


def ask(folder: Path, file: str) -> None:
    """Asks for a build by a process that ends without building."""
    assert background.trigger(folder, file, NOTHING)
    ended(folder)


def ended(folder: Path) -> None:
    """Waits for the process that builds."""
    with (folder / background.FOLDER / "lock").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)


def test_every_manifest_of_the_folder_is_served(tmp_path: Path) -> None:
    asked = ["a%2F.yaml", "a.yaml", "sub/b.yaml", "sub_b.yaml"]
    for file in asked:
        ask(tmp_path, file)
    built: list[str] = []
    background.serve(tmp_path, built.append)
    assert sorted(built) == asked
    background.serve(tmp_path, built.append)
    assert len(built) == 4


def test_a_wish_for_another_manifest_in_the_middle_of_a_build(tmp_path: Path) -> None:
    built: list[str] = []

    def build(file: str) -> None:
        if not built:
            assert background.is_running(tmp_path)
            assert not background.trigger(tmp_path, "b.yaml", NOTHING)  # who builds will see to it
            assert not background.trigger(tmp_path, "a.yaml", NOTHING)
            background.serve(tmp_path, lambda file: built.append("beside"))  # a process that comes too late
        built.append(file)

    ask(tmp_path, "a.yaml")
    background.serve(tmp_path, build)
    assert built == ["a.yaml", "a.yaml", "b.yaml"]
    assert not background.is_running(tmp_path)


def test_who_only_looks_is_not_taken_for_a_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A trigger that comes while somebody looks waits for that, and starts its process."""
    ask(tmp_path, "a.yaml")
    looking, lock = (
        os.open(tmp_path / background.FOLDER / name, os.O_RDWR | os.O_CREAT) for name in ("looking", "lock")
    )
    fcntl.flock(looking, fcntl.LOCK_SH)
    fcntl.flock(lock, fcntl.LOCK_SH)
    original = fcntl.flock

    def flock(file: int, kind: int) -> None:
        if kind == fcntl.LOCK_EX:  # who looks is done while the trigger waits
            os.close(lock)
            os.close(looking)
        original(file, kind)

    monkeypatch.setattr(fcntl, "flock", flock)
    assert background.trigger(tmp_path, "b.yaml", NOTHING)
    monkeypatch.undo()
    ended(tmp_path)


def test_several_may_look(tmp_path: Path) -> None:
    ask(tmp_path, "a.yaml")
    with (tmp_path / background.FOLDER / "lock").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        assert not background.is_running(tmp_path)
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert background.is_running(tmp_path)


def test_a_process_has_the_lock_from_its_first_moment(tmp_path: Path) -> None:
    """It has not run a line of its own when the next trigger comes, and still no second one is started."""
    text = f"import fcntl; fcntl.flock(open({str(tmp_path / 'gate')!r}), fcntl.LOCK_EX)"
    waits = (sys.executable, "-c", text)
    with (tmp_path / "gate").open("w") as gate:
        fcntl.flock(gate, fcntl.LOCK_EX)
        assert background.trigger(tmp_path, "a.yaml", waits)
        assert background.is_running(tmp_path)
        assert not background.trigger(tmp_path, "b.yaml", waits)
    ended(tmp_path)
    built: list[str] = []
    background.serve(tmp_path, built.append)
    assert built == ["a.yaml", "b.yaml"]


def test_a_process_builds_with_the_lock_that_it_was_given(tmp_path: Path) -> None:
    text = (
        "import pathlib, sys\n"
        "from modelbuild.project import background\n"
        "folder = pathlib.Path(sys.argv[-1])\n"
        "def build(file):\n"
        "    print(file, background.is_running(folder), sys.stdin.read() == '', flush=True)\n"
        "background.serve(folder, build)"
    )
    assert background.trigger(tmp_path, "a.yaml", (sys.executable, "-c", text))
    ended(tmp_path)
    assert (tmp_path / background.LOG).read_text() == "a.yaml True True\n"


def test_a_process_whose_wish_another_has_granted_lets_go_of_the_lock(tmp_path: Path) -> None:
    """Until it ends a trigger would rely on it; and the log of the last build stays."""
    ask(tmp_path, "a.yaml")
    log = tmp_path / background.LOG
    log.write_text("built\n")
    text = (
        "import pathlib, sys\n"
        "from modelbuild.project import background\n"
        "folder = pathlib.Path(sys.argv[-1])\n"
        "(folder / background.FOLDER / 'wanted.a.yaml').unlink()\n"
        "background.serve(folder, print)\n"
        "print(background.is_running(folder), flush=True)"
    )
    assert background.trigger(tmp_path, "a.yaml", (sys.executable, "-c", text))
    while len(log.read_text().splitlines()) < 2:  # the lock is let go of before the process ends
        pass
    assert log.read_text() == "built\nFalse\n"
