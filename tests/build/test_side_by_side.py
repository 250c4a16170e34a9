"""Several builds in one checkout at once: all right, each action runs once, none starves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from build_harness import PATIENCE_MS, SEARCH_PATH, Project, action, last_line, start_build, start_cleaning

SPECIFICATION: list[dict[str, Any]] = [
    {"name": "a", "inputs": {"x": "a.txt"}},
    {"name": "b", "stage": "upper", "inputs": {"x": "b.txt"}},
    {"name": "c", "inputs": {"x": "@a", "y": "@b"}},
    {"name": "s", "stage": "several"},
    {"name": "r", "soft": {"x": "@c"}, "always": True},
]
ACTIONS = [action(**one) for one in SPECIFICATION]
NAMES = [one.name for one in ACTIONS]
RESULT = "(x=(x=(x=a),y=(X=B)))"
LOOKER = """
import json, sys
from build_harness import Project, action
from pathlib import Path
root, specification, times = json.loads(sys.argv[1])
actions = [action(**one) for one in specification]
names = [one.name for one in actions]
for _ in range(times):
    builder = Project(Path(root)).builder
    states = builder.status(actions, names)
    assert all(status.state in ("up to date", "out of date", "unknown") for status in states.values()), states
    for name in names:
        builder.why(actions, name)
    counts = builder.build(actions, names, jobs=1, dry_run=True).counts
    assert counts["cached"] + counts["would_run"] == len(names), counts
"""
BUILDS = [3, pytest.param(10, marks=pytest.mark.long)]


def sources(project: Project) -> None:
    project.write("a.txt", "a")
    project.write("b.txt", "b")


def start_looking(project: Project, times: int) -> subprocess.Popen[str]:
    """Looks at the state again and again, without the lock."""
    return subprocess.Popen(
        [sys.executable, "-c", LOOKER, json.dumps([str(project.root), SPECIFICATION, times])],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": SEARCH_PATH},
    )


def ended_well(processes: list[subprocess.Popen[str]]) -> None:
    for process in processes:
        process.communicate(timeout=PATIENCE_MS / 1000)
    assert [process.returncode for process in processes] == [0] * len(processes)


@pytest.mark.parametrize("builds", BUILDS)
def test_builds_at_once_share_the_work(project: Project, builds: int) -> None:
    sources(project)
    traced = {"TEST_TRACE": str(project.trace_file)}
    running = [start_build(project, SPECIFICATION, jobs=1 + index % 3, **traced) for index in range(builds)]
    states = [json.loads(last_line(process)) for process in running]
    ended_well(running)
    assert project.ran() == sorted(NAMES)  # each once, whoever did it
    for found in states:
        assert set(found) == set(NAMES) and set(found.values()) <= {"run", "cached"}
    assert sum(state == "run" for found in states for state in found.values()) == len(NAMES)
    result = project.build(ACTIONS)
    assert set(result.states.values()) == {"cached"} and project.text(result, "r") == RESULT


@pytest.mark.parametrize("builds", BUILDS)
def test_looking_and_cleaning_beside_builds(project: Project, builds: int) -> None:
    sources(project)
    looking = [start_looking(project, 4 * builds) for _ in range(2)]
    working: list[subprocess.Popen[str]] = []
    for index in range(builds):
        working.append(start_build(project, SPECIFICATION))
        if index % 3 == 1:
            working.append(start_cleaning(project))
    ended_well([*working, *looking])
    result = project.build(ACTIONS)
    assert result.ok and project.text(result, "r") == RESULT
    assert not list(project.state.rglob("*.bad")) and not list((project.state / "work").iterdir())


@pytest.mark.parametrize("builds", BUILDS)
def test_who_waits_gets_the_lock(tmp_path: Path, builds: int) -> None:
    """A holder that takes the lock again at once does not keep the others from it for ever."""
    greedy = """
import sys
from pathlib import Path
from modelbuild.build import lock
for _ in range(200):
    with lock.held(Path(sys.argv[1]), lambda: None):
        pass
"""
    path = tmp_path / "state" / "lock"
    ended_well(
        [
            subprocess.Popen([sys.executable, "-c", greedy, str(path)], stdout=subprocess.PIPE, text=True)
            for _ in range(builds)
        ]
    )
