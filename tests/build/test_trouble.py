"""Troubles of the machine in a stage: told as what they are, and never remembered."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from build_harness import SEARCH_PATH, Project, action

from modelbuild.build import trouble
from modelbuild.errors import ModelbuildError

FULL = """
import json, sys
from pathlib import Path
from build_harness import Project, action
root, how = sys.argv[1:]
project = Project(Path(root))
project.write("a.txt", "one")
first = [action("first", inputs={"x": "a.txt"})]
project.build(first)
records = project.records()
def build(how):
    stage = {"function": "stages_of_processes:fill", "parameters": {"how": how}}
    result = project.build([*first, action("full", **stage)], keep_going=True)
    return dict(result.states), [str(error) for _, error in result.failures]
states, errors = build(how)
kept = project.records() == records and not any((project.state / "work").iterdir())
print(json.dumps([states, errors, kept, build("nothing")[0]]))
"""


def on_a_small_disk(folder: Path, how: str) -> list:
    """Runs FULL on a file system of 8 MiB of its own, which a user may mount in a name space of its own."""
    folder.mkdir()
    mount = 'mount -t tmpfs -o size=8m none "$1" || exit 77; exec "$2" -c "$3" "$1" "$4"'
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount, "sh"]
    try:
        done = subprocess.run(
            [*command, str(folder), sys.executable, FULL, how],
            env={**os.environ, "PYTHONPATH": SEARCH_PATH},
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        pytest.skip("there is no unshare")
    if not done.stdout:
        if "Traceback" in done.stderr:
            raise AssertionError(done.stderr)
        pytest.skip(f"no file system can be mounted here: {done.stderr}")
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ("stuff", "No space left on device"),
        ("numpy", "1000 requested and 10 written"),
        ("library", "could not save the model"),
        ("silence", "No space left on device"),
        ("print", "No space left on device"),
    ],
)
def test_a_full_disk_in_a_stage_is_named_and_nothing_is_kept(tmp_path: Path, how: str, why: str) -> None:
    """Also where a library hides it, where half a file looks whole, and where only the log had no room."""
    states, errors, kept, then = on_a_small_disk(tmp_path / "disk", how)
    assert states == {"first": "cached", "full": "failed"}
    (text,) = errors
    assert "the disk failed full" in text and why in text
    assert ".modelbuild/work" in text and "free space" in text
    assert "memory" not in text and "internal error" not in text
    assert kept
    assert then == {"first": "cached", "full": "run"}


def test_a_mapped_file_on_a_full_disk_names_the_disk(project: Project) -> None:
    stage = {"function": "stages_of_processes:fill", "parameters": {"how": "bus"}}
    text = str(project.failure(project.build([action("full", **stage)]), "full"))
    assert "was killed by SIGBUS" in text and "disk" in text and "out of memory" not in text


def test_a_worker_that_dies_while_it_answers_is_no_victim_of_memory(project: Project) -> None:
    """Its pipe ends before it does: what it died of is asked of its parent."""
    stage = {"function": "stages_of_processes:close_all"}
    text = str(project.failure(project.build([action("odd", **stage)]), "odd"))
    assert "ended with status 1" in text and "memory" not in text


PLACE = Path("/work/of/builder/1/2")


def verdict(error: BaseException, folder: Path) -> tuple[str, bool]:
    told, remember = trouble.verdict(error, "a", folder)
    return str(told), remember


def test_a_verdict_on_the_inputs_is_remembered_and_a_trouble_is_not(tmp_path: Path) -> None:
    assert trouble.verdict(ModelbuildError("bad"), "a", tmp_path)[1]
    assert not trouble.verdict(ModelbuildError("bad", passing=True), "a", tmp_path)[1]
    text, remember = verdict(OSError(errno.EDQUOT, "Quota exceeded"), tmp_path)
    assert "the disk failed a" in text and not remember
    text, remember = verdict(MemoryError(), tmp_path)
    assert "the machine failed a" in text and not remember
    text, remember = verdict(OSError(errno.EMFILE, "Too many open files"), tmp_path)
    assert "the machine failed a" in text and not remember
    text, remember = verdict(KeyError("x"), tmp_path)
    assert "internal error in a" in text and not remember


def test_a_trouble_behind_a_told_error_is_found(tmp_path: Path) -> None:
    def told() -> None:
        try:
            raise OSError(errno.EIO, "Input/output error")
        except OSError as error:
            raise ModelbuildError("cannot read the picture") from error

    with pytest.raises(ModelbuildError) as raised:
        told()
    text, remember = verdict(raised.value, tmp_path)
    assert text == "cannot read the picture" and not remember


def test_a_chain_of_causes_that_is_a_circle_ends(tmp_path: Path) -> None:
    one, other = KeyError(), ValueError()
    one.__cause__, other.__cause__ = other, one
    assert not trouble.is_passing(one)


def test_a_file_system_that_counts_no_blocks_is_not_full(tmp_path: Path) -> None:
    trouble.refuse_full_disk(Path("/proc"))
    trouble.refuse_full_disk(tmp_path / "gone")


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM])
def test_a_right_that_is_missing_is_no_verdict_on_the_inputs(tmp_path: Path, number: int) -> None:
    """What may not be read today has the same digest, and so the same key, when it may."""
    bare = PermissionError(number, os.strerror(number), "table")
    told, remember = trouble.verdict(bare, "a", tmp_path)
    assert not remember and "give yourself the right" in str(told) and "internal error" not in str(told)
    try:
        raise ModelbuildError("cannot read the table", exit_code=1) from bare
    except ModelbuildError as error:
        assert trouble.verdict(error, "a", tmp_path) == (error, False)
