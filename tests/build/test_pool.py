"""Workers import what the builder would, whatever its flags and its environment say."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from build_harness import HERE, PATIENCE_MS, Project, action

from modelbuild.build.action import Action
from modelbuild.build.key import Walks, keyed
from modelbuild.build.pool import _Worker
from modelbuild.build.tasks import Task

SCRIPT = """
import sys
sys.path[:0] = [sys.argv[1], sys.argv[2], sys.argv[3]]
from pathlib import Path
from build_harness import action
from modelbuild.build.build import Builder
import library
one = action("a", function="stages_of_processes:whence", parameters={"module": "library"})
builder = Builder(Path("project"))
result = builder.build([one], ["a"], jobs=1)
print(library.__file__, builder.output(result, "a", "text").read_text(), sep="\\n")
"""


@pytest.mark.parametrize("flags", [[], ["-I"], ["-E"], ["-s", "-P"]])
@pytest.mark.parametrize("own", ["absolute", "relative"])
def test_a_worker_finds_the_libraries_that_its_builder_finds(
    tmp_path: Path, flags: list[str], own: str
) -> None:
    """What PYTHONPATH names comes after what the program put into sys.path, or does not count at all."""
    for folder in ("own", "foreign", "project"):
        (tmp_path / folder).mkdir()
    for folder in ("own", "foreign"):
        (tmp_path / folder / "library.py").write_text("")
    path = [str(HERE), str(tmp_path / "own") if own == "absolute" else "own", str(HERE.parent.parent)]
    found = subprocess.run(
        [sys.executable, *flags, "-c", SCRIPT, *path],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "foreign")},
        capture_output=True,
        text=True,
        timeout=PATIENCE_MS / 1000,
    )
    assert found.stderr == ""
    wanted = str(tmp_path / "own" / "library.py")
    assert [str(tmp_path / line) for line in found.stdout.split()] == [wanted, wanted]


def test_a_folder_added_to_sys_path_counts_in_the_next_build(project: Project, tmp_path: Path) -> None:
    (tmp_path / "added").mkdir()
    (tmp_path / "added" / "library_of_this_test.py").write_text("")
    one = action("a", function="stages_of_processes:whence", parameters={"module": "library_of_this_test"})
    assert "No module named" in str(project.failure(project.build([one]), "a"))
    sys.path.append(str(tmp_path / "added"))
    try:
        assert project.text(project.build([one]), "a").endswith("added/library_of_this_test.py")
    finally:
        sys.path.remove(str(tmp_path / "added"))


CLOSED = """
import sys
sys.path[:0] = sys.argv[1:3]
from pathlib import Path
from build_harness import action
from modelbuild.build.build import Builder
result = Builder(Path("project")).build([action("a", "upper", inputs={"x": "a.txt"})], ["a"], jobs=1)
Path("state").write_text(result.states["a"])
"""


@pytest.mark.parametrize("closed", ["0<&-", "1>&-", "0<&- 1>&-", "0<&- 1>&- 2>&-"])
def test_a_builder_whose_standard_streams_are_closed_builds(tmp_path: Path, closed: str) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "a.txt").write_text("one")
    command = ["sh", "-c", f'exec "$@" {closed}', "sh", sys.executable, "-c", CLOSED]
    path = [str(HERE), str(HERE.parent.parent)]
    subprocess.run([*command, *path], cwd=tmp_path, timeout=PATIENCE_MS / 1000, check=True)
    assert (tmp_path / "state").read_text() == "run"


def test_a_file_that_the_builder_inherited_is_not_handed_on(project: Project, tmp_path: Path) -> None:
    with (tmp_path / "secret").open("w") as stream:
        os.set_inheritable(stream.fileno(), True)
        seen = os.fstat(stream.fileno())
        one = action(
            "a", function="stages_of_processes:is_open", parameters={"file": [seen.st_dev, seen.st_ino]}
        )
        assert project.text(project.build([one]), "a") == "False"


@pytest.mark.skipif(sys.platform != "linux", reason="pipes are as wide as they are")
def test_a_task_with_a_chips_recipe_goes_to_a_worker_that_does_not_read_yet(tmp_path: Path) -> None:
    """Nobody would read it here: a pipe that is not wide enough waits for ever."""
    recipe = {"passes": ["x" * 100_000]}
    key, fields = keyed(Action("a", "m:f", "1", {"recipe": recipe}), {}, Walks())
    worker = _Worker(0, tmp_path / "log")
    try:
        worker.send(Task("a", "run", "m:f", {"recipe": recipe}, {}, "0", "blobs", key, fields, 1))
    finally:
        worker.close()


@pytest.mark.skipif(sys.platform != "linux", reason="processes are waited for by a Linux descriptor")
def test_a_worker_for_which_nothing_is_left_ends_beside_those_that_work(
    project: Project, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "pipe")
    pipe = {"pipe": str(tmp_path / "pipe")}
    actions = [
        action("first", function="stages_of_processes:tell_who", parameters=pipe),
        action("last", function="stages_of_processes:outlive", parameters=pipe),
    ]
    assert project.text(project.build(actions), "last") == "ended"


def test_an_action_runs_in_the_worker_of_its_discovery(project: Project, tmp_path: Path) -> None:
    """Nothing else is left to start, and yet the worker must not be let go in between."""
    project.write("a.txt", "one")
    one = action(
        "a",
        function="stages_of_processes:same",
        discover="stages_of_processes:find_nothing",
        inputs={"x": "a.txt"},
        parameters={"place": str(tmp_path / "place")},
    )
    assert project.text(project.build([one], jobs=1), "a") == "True"
