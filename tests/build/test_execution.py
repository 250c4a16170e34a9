"""Killed, interrupted or overtaken in the middle of an action: the next build is right."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from build_harness import (
    PATIENCE_MS,
    Project,
    action,
    last_line,
    start_build,
    start_cleaning,
    state_of,
    wait_for_end,
    wait_for_line,
)


@pytest.fixture
def fifos(tmp_path: Path) -> dict[str, str]:
    """The environment by which the stage `block` tells that it started and waits to be released."""
    names = {"TEST_STARTED": str(tmp_path / "started"), "TEST_RELEASE": str(tmp_path / "release")}
    for name in names.values():
        os.mkfifo(name)
    return names


SPECIFICATION = [
    {"name": "first", "inputs": {"x": "a.txt"}},
    {"name": "slow", "stage": "block", "inputs": {"x": "@first"}},
    {"name": "last", "inputs": {"x": "@slow"}},
]


@pytest.mark.parametrize(("blow", "status"), [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, 130)])
def test_a_build_killed_in_the_middle_leaves_no_worker_and_the_next_is_right(
    project: Project, fifos: dict[str, str], blow: signal.Signals, status: int
) -> None:
    project.write("a.txt", "one")
    process = start_build(project, SPECIFICATION, **fifos)
    worker = os.pidfd_open(int(Path(fifos["TEST_STARTED"]).read_text()))  # the stage runs
    wait_for_line(process, "started slow")  # and the builder has nothing more to do than to wait for it
    process.send_signal(blow)
    process.communicate(timeout=PATIENCE_MS / 1000)
    assert process.returncode == status
    assert wait_for_end(worker), "the worker outlived its build"
    os.close(worker)
    assert project.ran() == ["first"]

    result = project.build([action(**one) for one in SPECIFICATION])
    assert state_of(result) == {"first": "cached", "slow": "run", "last": "run"}
    assert project.text(result, "last") == "(x=(x=(x=one)))"
    assert not any((project.state / "work").iterdir())


def test_a_worker_killed_in_the_middle_costs_its_action_only(project: Project, fifos: dict[str, str]) -> None:
    project.write("a.txt", "one")
    apart = {"name": "apart", "inputs": {"x": "@first"}}
    process = start_build(project, [*SPECIFICATION, apart], jobs=1, **fifos)
    os.kill(int(Path(fifos["TEST_STARTED"]).read_text()), signal.SIGKILL)
    expected = '{"apart": "run", "first": "run", "last": "skipped", "slow": "failed"}'
    assert last_line(process) == expected
    assert project.build([action(**one) for one in SPECIFICATION]).counts["run"] == 2


def test_two_builds_in_one_checkout_take_turns(project: Project, fifos: dict[str, str]) -> None:
    project.write("a.txt", "one")
    one = start_build(project, SPECIFICATION, **fifos)
    Path(fifos["TEST_STARTED"]).read_text()
    other = start_build(project, SPECIFICATION, **fifos)
    wait_for_line(other, "waiting")
    Path(fifos["TEST_RELEASE"]).write_text("go")
    assert last_line(one) == '{"first": "run", "last": "run", "slow": "run"}'
    assert last_line(other) == '{"first": "cached", "last": "cached", "slow": "cached"}'
    assert project.ran() == ["first", "last", "slow"]


def test_looking_needs_no_lock(project: Project, fifos: dict[str, str]) -> None:
    project.write("a.txt", "one")
    process = start_build(project, SPECIFICATION, **fifos)
    Path(fifos["TEST_STARTED"]).read_text()
    actions = [action(**one) for one in SPECIFICATION]
    assert {name: str(found) for name, found in project.builder.status(actions, ["last"]).items()} == {
        "first": "up to date",
        "slow": "out of date",
        "last": "unknown (waits for slow)",
    }
    Path(fifos["TEST_RELEASE"]).write_text("go")
    process.communicate(timeout=PATIENCE_MS / 1000)


def test_an_input_that_changes_under_its_action_is_an_error_and_nothing_is_kept(project: Project) -> None:
    project.write("a.txt", "one")
    actions = [action("a", "change_input", inputs={"x": "a.txt"}, parameters={"to": "two"})]
    error = project.failure(project.build(actions), "a")
    assert "a.txt changed while a was reading it" in str(error)
    assert error.exit_code == 1
    assert project.records() == []
    result = project.build([action("a", inputs={"x": "a.txt"})])
    assert project.text(result, "a") == "(x=two)"


def test_a_disk_that_refuses_is_named_and_leaves_the_state_right(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every rename of an output or a record fails in turn; then the disk is well again."""
    import modelbuild.build.disk as disk

    project.write("a.txt", "one")
    actions = [action("a", inputs={"x": "a.txt"}), action("b", inputs={"x": "@a"})]
    original = disk.move
    for failing in (0, 1, 1, 1):  # output of a, its record; that once more, and output of b; record of b
        calls = iter(range(100))

        def refuse(source: Path, path: Path, failing: int = failing, calls=calls) -> None:
            if next(calls) == failing:
                raise OSError(28, "No space left on device")
            original(source, path)

        monkeypatch.setattr(disk, "move", refuse)
        result = project.build(actions, jobs=1)
        (error,) = [error for _, error in result.failures]
        assert "cannot " in str(error) and "No space left on device" in str(error)
        assert error.exit_code == 1
        monkeypatch.undo()
    assert project.text(project.build(actions), "b") == "(x=(x=one))"


def test_what_an_action_left_is_gone_as_soon_as_it_ended(project: Project) -> None:
    """A build of many large actions must not keep the halves of those that failed."""
    project.write("a.txt", "BAD")
    left: list[list[Path]] = []
    project.build(
        [action("a", "fail_if_bad", inputs={"x": "a.txt"}), action("b", "several")],
        jobs=1,
        keep_going=True,
        observer=lambda event: left.append(list((project.state / "work").glob("*/*/out/*"))),
    )
    assert left[-1] == [] and left[1] == []


def test_cleaning_waits_for_a_build_and_keeps_the_lock_that_others_wait_for(
    project: Project, fifos: dict[str, str]
) -> None:
    project.write("a.txt", "one")
    one = start_build(project, SPECIFICATION, **fifos)
    Path(fifos["TEST_STARTED"]).read_text()
    cleaning = start_cleaning(project)
    wait_for_line(cleaning, "waiting")
    assert len(project.records()) == 1, "it does nothing before its turn"
    Path(fifos["TEST_RELEASE"]).write_text("go")
    one.communicate(timeout=PATIENCE_MS / 1000)
    lock = (project.state / "lock").stat().st_ino
    assert cleaning.communicate(timeout=PATIENCE_MS / 1000)[0] == ""
    assert [path.name for path in project.state.iterdir()] == ["lock"]
    assert (project.state / "lock").stat().st_ino == lock


@pytest.mark.parametrize("how", ["write", "cut"])
def test_a_mapped_input_that_changes_is_an_error_too(project: Project, how: str) -> None:
    """Cut short, it even kills the worker that reads it: what is told is why."""
    project.write("a.txt", "x" * 10_000)
    mapped = action("a", function="stages_of_processes:change_mapped", inputs={"x": "a.txt"})
    mapped = mapped._replace(parameters={"how": how})
    error = project.failure(project.build([mapped]), "a")
    assert "a.txt changed while a was reading it" in str(error)
    assert error.exit_code == 1
    assert project.records() == []


def test_a_found_input_that_changes_under_its_action_is_an_error(project: Project) -> None:
    project.write("list.txt", "use other.txt\n")
    project.write("other.txt", "one")
    finding = action(
        "a",
        function="stages_of_processes:change_found",
        inputs={"x": "list.txt"},
        discover="stages_for_tests:named_files",
    )
    error = project.failure(project.build([finding]), "a")
    assert "other.txt changed while a was reading it" in str(error)
    assert [path for path in project.records() if b'"outputs":{"text"' in path.read_bytes()] == []
