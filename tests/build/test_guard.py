"""Whoever is killed, nothing of a build stays alive: real processes, real kill -9."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from build_harness import PATIENCE_MS, SCRIPT, SEARCH_PATH, Project, action, state_of, wait_for_end

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems hand no orphans over")

SPECIFICATION = [
    {"name": "first", "inputs": {"x": "a.txt"}},
    {"name": "breeder", "function": "stages_of_processes:breed", "inputs": {"x": "@first"}},
]


def processes(specification: list[dict]) -> list:
    return [action(**one) for one in specification]


class Running:
    """A build whose stage has started processes in every way, and a handle on each."""

    def __init__(self, project: Project, stack: ExitStack) -> None:
        started = project.root.parent / "started"
        os.mkfifo(started)
        project.write("a.txt", "one")
        self.process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, json.dumps([str(project.root), SPECIFICATION, 2, True])],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            process_group=0,
            env={**os.environ, "PYTHONPATH": SEARCH_PATH, "TEST_STARTED": str(started)},
        )
        self.ids: dict[str, int] = json.loads(started.read_text())
        self.handles = {name: os.pidfd_open(pid) for name, pid in self.ids.items()}
        for handle in self.handles.values():
            stack.callback(os.close, handle)
        stack.callback(self._end)

    def _end(self) -> None:
        for handle in self.handles.values():
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, signal.SIGKILL)

    def outlive(self) -> list[str]:
        """Who is left when the build has ended."""
        return [name for name, handle in self.handles.items() if not wait_for_end(handle)]


@pytest.mark.parametrize("victims", ["builder", "group", "guard", "supervisor", "worker", "child", "fork"])
def test_whoever_is_killed_nothing_of_the_build_stays_alive(project: Project, victims: str) -> None:
    with ExitStack() as stack:
        running = Running(project, stack)
        if victims == "builder":
            running.process.kill()
        elif victims == "group":
            os.killpg(running.process.pid, signal.SIGKILL)
        else:
            os.kill(running.ids[victims], signal.SIGKILL)
        if victims in ("child", "fork"):  # the stage goes on
            running.process.send_signal(signal.SIGINT)
        told, errors = running.process.communicate(timeout=PATIENCE_MS / 1000)
        assert running.outlive() == []
        assert "Traceback" not in errors
        if victims in ("guard", "supervisor", "worker"):
            assert json.loads(told.splitlines()[-1]) == {"first": "run", "breeder": "failed"}
    result = project.build(processes(SPECIFICATION))
    assert state_of(result) == {"first": "cached", "breeder": "run"}


@pytest.mark.parametrize("group", ["guard", "supervisor", "worker"])
def test_a_group_that_is_killed_leaves_nothing_behind(project: Project, group: str) -> None:
    with ExitStack() as stack:
        running = Running(project, stack)
        os.killpg(os.getpgid(running.ids[group]), signal.SIGKILL)
        running.process.communicate(timeout=PATIENCE_MS / 1000)
        assert running.outlive() == []


def test_builder_and_guard_killed_at_once(project: Project) -> None:
    with ExitStack() as stack:
        running = Running(project, stack)
        running.process.kill()
        os.kill(running.ids["guard"], signal.SIGKILL)
        running.process.communicate(timeout=PATIENCE_MS / 1000)
        assert running.outlive() == []


def test_what_a_stage_leaves_running_ends_with_it(project: Project) -> None:
    """Not only with the build: it could write to files that are taken for finished."""
    actions = [
        action("a", function="stages_of_processes:abandon"),
        action("b", function="stages_of_processes:alive", inputs={"x": "@a"}),
    ]
    assert project.text(project.build(actions, jobs=1), "b") == "[]"


def test_a_guard_that_was_killed_is_replaced(project: Project) -> None:
    """All workers of the first guard die with it; the actions behind get others."""
    project.write("a.txt", "one")
    actions = [
        action("killer", function="stages_of_processes:kill_guard"),
        *(action(f"after {index}", inputs={"x": "a.txt"}) for index in range(3)),
    ]
    result = project.build(actions, jobs=1, keep_going=True)
    assert result.states["killer"] == "failed"
    assert result.counts["run"] == 3
    error = project.failure(result, "killer")
    assert "the process that ran killer was killed by SIGKILL" in str(error)


def test_the_processes_between_are_small(project: Project) -> None:
    """Guard and supervisors import nothing of a stage's."""
    with ExitStack() as stack:
        running = Running(project, stack)
        for name in ("guard", "supervisor"):
            status = Path(f"/proc/{running.ids[name]}/status").read_text()
            (resident,) = [int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")]
            assert resident < 40_000, name
        running.process.kill()
        running.process.communicate(timeout=PATIENCE_MS / 1000)
