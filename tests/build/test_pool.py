"""Workers import what the builder would, whatever its flags and its environment say."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from build_harness import HERE, PATIENCE_MS, Project, action

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
