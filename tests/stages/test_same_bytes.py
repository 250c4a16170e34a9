"""A stage gives the same bytes in any surroundings, and needs no worker that fixes them for it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.command import REPOSITORY, files_below
from tests.stages.built import Built

pytestmark = pytest.mark.usefixtures("all_processors")
STAGES = ("normalise", "lower", "check", "observe", "quantize", "apply", "compile", "package", "report")
PROGRAM = """
import sys
from pathlib import Path
from tests.stages.built import opened
built = opened(Path(sys.argv[1]))
for action in built.project.plan.actions:
    if action.name.rsplit(":", 1)[1] in sys.argv[3:]:
        built.run(action.name, Path(sys.argv[2]) / action.name.replace(":", "/"))
"""
SURROUNDINGS: tuple[tuple[int, dict[str, str]], ...] = (
    (0o022, {"PYTHONHASHSEED": "1", "TZ": "UTC", "LC_ALL": "C", "USER": "first", "OMP_NUM_THREADS": "1"}),
    (
        0o077,
        {
            "PYTHONHASHSEED": "4242",
            "TZ": "Pacific/Auckland",
            "LC_ALL": "C.UTF-8",
            "USER": "second",
            "OMP_NUM_THREADS": "2",
            "HOME": "/nonexistent",
        },
    ),
)


def run_in(project: Path, out: Path, umask: int, variables: dict[str, str]) -> dict[str, bytes]:
    """What the stages leave, run directly in a new process."""
    out.mkdir(parents=True)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(project), str(out), *STAGES],
        cwd=out,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), **variables},
        umask=umask,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return files_below(out)


@pytest.fixture(scope="module")
def left(built: Built, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, bytes]]:
    """What each of the surroundings leaves, the second in a longer folder."""
    folders = (tmp_path_factory.mktemp("a"), tmp_path_factory.mktemp("b") / "a much longer name" / "x")
    return [
        run_in(built.project.root, folder / "out", umask, variables)
        for folder, (umask, variables) in zip(folders, SURROUNDINGS, strict=True)
    ]


def test_two_processes_leave_the_same_bytes(left: list[dict[str, bytes]]) -> None:
    first, second = left
    assert {name.split("/")[-2] for name in first} >= set(STAGES) - {"package"}
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []


def test_they_are_the_builders_bytes(built: Built, left: list[dict[str, bytes]]) -> None:
    for action in built.project.plan.actions:
        if action.name.rsplit(":", 1)[1] in STAGES:
            for name in built.result.outputs[action.name]:
                found = left[0][f"{action.name.replace(':', '/')}/{name}"]
                assert found == built.path(action.name, name).read_bytes(), f"{action.name} {name}"


def test_no_path_of_this_machine_is_in_them(built: Built, left: list[dict[str, bytes]]) -> None:
    for found in left:
        for name, data in found.items():
            assert str(built.project.root.parent.parent).encode() not in data, name
