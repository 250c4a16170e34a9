"""Ctrl-C, SIGTERM and SIGHUP, once or more, at any moment: orderly, and the next build is right."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from build_harness import HERE, PATIENCE_MS, SEARCH_PATH, Project, action, wait_for_end

from modelbuild.build.interrupts import Handled, Interrupted, Shielded

SPECIFICATION: list[dict[str, Any]] = [
    {"name": "source", "inputs": {"x": "a.txt"}},
    *({"name": f"a{i}", "inputs": {"x": "@source"}} for i in range(4)),
    *({"name": f"b{i}", "stage": "upper", "inputs": {"x": f"@a{i}"}} for i in range(4)),
    {"name": "several", "stage": "several"},
    {"name": "found", "inputs": {"x": "list.txt"}, "discover": "stages_for_tests:named_files"},
    {"name": "all", "inputs": {f"r{i}": f"@b{i}" for i in range(4)}},
]


def prepare(root: Path) -> Project:
    project = Project(root)
    project.write("a.txt", "one")
    project.write("list.txt", "use a.txt\n")
    return project


def files_below(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Relative path -> contents and inode: a record that is written again has another."""
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_ino)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@dataclass(frozen=True)
class Undisturbed:
    """What a build makes that nobody disturbs, and how many calls it takes."""

    records: dict[str, bytes]
    outputs: dict[str, dict[str, str]]
    calls: int


def actions() -> list[Any]:
    return [action(**one) for one in SPECIFICATION]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    folder = tmp_path_factory.mktemp("undisturbed")
    project = prepare(folder / "project")
    done = strike(project, [], TEST_CALLS=str(folder / "calls"))
    assert (done.returncode, done.stderr) == (0, "")
    records = files_below(project.state / "records")
    result = project.build(actions())
    assert result.counts["cached"] == len(SPECIFICATION)
    outputs = {name: dict(files) for name, files in result.outputs.items()}
    calls = int((folder / "calls").read_text())
    return Undisturbed({name: data for name, (data, _) in records.items()}, outputs, calls)


def strike(
    project: Project, strikes: list[list[Any]], **environment: str
) -> subprocess.CompletedProcess[str]:
    """Runs the build of SPECIFICATION, struck as said; on return nothing of it is alive, or it fails."""
    mark = uuid.uuid4().hex
    arrived = project.root.with_name(f"{project.root.name}.arrived")
    arrived.unlink(missing_ok=True)
    marks = {"TEST_MARK": mark, "TEST_ARRIVED": str(arrived)}
    words = json.dumps({"strikes": strikes, "build": [str(project.root), SPECIFICATION, 2]})
    with subprocess.Popen(
        [sys.executable, str(HERE / "strike.py"), words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
        env={**os.environ, "PYTHONPATH": SEARCH_PATH, **marks, **environment},
    ) as process:
        out, errors = process.communicate(timeout=PATIENCE_MS / 1000)
    left = list(marked(mark))
    sent = arrived.read_text().count("\n") if arrived.exists() else 0
    if process.returncode >= 0 and sent < 3:  # at the third signal nothing is waited for
        assert left == [], "an orderly end waits for all that the build has started"
    for pid in left:
        with suppress(ProcessLookupError):
            handle = os.pidfd_open(pid)
            assert wait_for_end(handle)
            os.close(handle)
    return subprocess.CompletedProcess(words, process.returncode, out, errors)


def marked(mark: str) -> Iterator[int]:
    """The processes that have TEST_MARK in their environment."""
    for folder in Path("/proc").iterdir():
        with suppress(OSError):
            if folder.name.isdigit() and mark.encode() in (folder / "environ").read_bytes():
                yield int(folder.name)


def check_next_build(project: Project, undisturbed: Undisturbed) -> None:
    """Nothing that was finished is done again, and all comes out as it should."""
    before = files_below(project.state / "records") if project.state.exists() else {}
    waited = []
    result = project.build(actions(), observer=lambda event: waited.append(event.kind == "waiting"))
    assert not any(waited), "the lock was not free"
    after = files_below(project.state / "records")
    assert {name: dict(files) for name, files in result.outputs.items()} == undisturbed.outputs
    assert {name: after[name] for name in before} == before
    assert {name: after[name][0] for name in undisturbed.records} == undisturbed.records
    assert result.counts["run"] + result.counts["cached"] == len(SPECIFICATION)
    assert not list(project.state.rglob("*.bad"))
    assert not list((project.state / "work").glob("*"))  # a build that runs nothing does not make the folder


ENDING = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}


def interrupt(folder: Path, undisturbed: Undisturbed, seed: int) -> int:
    """One build, interrupted once or up to three times, close together or not; its exit code."""
    generator = random.Random(seed)
    at = generator.randint(1, undisturbed.calls)
    strikes = []
    for _ in range(generator.choice([1, 2, 2, 3])):
        strikes.append([at, "self", int(generator.choice(list(ENDING))), 0])
        at += generator.choice([1, 10, 100, 1000])
    project = prepare(folder / str(seed))
    done = strike(project, strikes)
    codes = {ENDING[signal.Signals(number)] for _, _, number, _ in strikes}
    assert done.returncode in {0, *codes}, done.stderr
    assert "Traceback" not in done.stderr and "Exception ignored" not in done.stderr, done.stderr
    check_next_build(project, undisturbed)
    return done.returncode


def test_an_interrupt_at_any_moment_is_orderly(tmp_path: Path, undisturbed: Undisturbed) -> None:
    codes = [interrupt(tmp_path, undisturbed, seed) for seed in range(5)]
    assert any(code in ENDING.values() for code in codes)


@pytest.mark.parametrize("name", ["Holding.hold.__exit__", "Execution.close", "settle", "State.save"])
def test_an_interrupt_as_an_end_begins_does_not_skip_it(
    tmp_path: Path, undisturbed: Undisturbed, name: str
) -> None:
    project = prepare(tmp_path / "project")
    done = strike(project, [[name, "self", int(signal.SIGINT), 0]])
    assert (done.returncode, done.stderr) == (130, "")
    assert (tmp_path / "project.arrived").read_text() == "self\n"
    assert list((project.state / "work").iterdir()) == []
    check_next_build(project, undisturbed)


@pytest.mark.long
def test_an_interrupt_at_any_moment_is_orderly_often(tmp_path: Path, undisturbed: Undisturbed) -> None:
    for seed in range(1000, 1200):
        interrupt(tmp_path, undisturbed, seed)


def kill(folder: Path, undisturbed: Undisturbed, seed: int) -> int:
    """One build in which something is killed with -9; its exit code."""
    generator = random.Random(seed)
    victim = generator.choice(["group", "group", "worker", "worker", "supervisor", "guard"])
    at = generator.randint(1, undisturbed.calls)
    project = prepare(folder / str(seed))
    done = strike(project, [[at, victim, int(signal.SIGKILL), seed]])
    assert done.returncode in (0, 1, -signal.SIGKILL) and "Traceback" not in done.stderr, done.stderr
    check_next_build(project, undisturbed)
    return done.returncode


def test_killed_at_any_moment_the_next_build_is_right(tmp_path: Path, undisturbed: Undisturbed) -> None:
    codes = [kill(tmp_path, undisturbed, seed) for seed in range(7)]
    assert -signal.SIGKILL in codes


@pytest.mark.long
def test_killed_at_any_moment_the_next_build_is_right_200_times(
    tmp_path: Path, undisturbed: Undisturbed
) -> None:
    for seed in range(2000, 2200):
        kill(tmp_path, undisturbed, seed)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_signal_raises_and_tells_the_exit_code(number: signal.Signals) -> None:
    before = {one: signal.getsignal(one) for one in ENDING}
    try:
        with pytest.raises(Interrupted) as raised, Handled():
            os.kill(os.getpid(), number)
            raise AssertionError("not reached")
        assert raised.value.exit_code == ENDING[number] == 128 + number
        os.kill(os.getpid(), number)  # the program's last steps are not disturbed
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def test_without_a_signal_the_handlers_are_as_before() -> None:
    before = {one: signal.getsignal(one) for one in ENDING}
    with Handled():
        assert signal.getsignal(signal.SIGTERM) != before[signal.SIGTERM]
    assert {one: signal.getsignal(one) for one in ENDING} == before


def test_what_the_caller_ignores_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Handled():
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_shield_holds_an_interrupt_back_until_its_end() -> None:
    done = []
    with pytest.raises(KeyboardInterrupt), Shielded():
        os.kill(os.getpid(), signal.SIGINT)
        done.append("all of it")
    assert done == ["all of it"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_shields_within_shields_hold_too() -> None:
    done = []
    with pytest.raises(KeyboardInterrupt), Shielded():
        with Shielded():
            os.kill(os.getpid(), signal.SIGINT)
        done.append("after the inner one")
    assert done == ["after the inner one"]
