"""`modelbuild lock` killed with SIGKILL while it writes: whole files, and what does not fit is named."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.command import files_below, modelbuild
from tests.stages.golden import write_project

# The real command, which is killed at its Nth replacement of a file of the lock
KILLED = """\
import os, signal, sys
from modelbuild.build import disk
from modelbuild.cli.main import main

write, left = disk.write, int(sys.argv.pop(1))

def counted(path, data, scratch):
    global left
    if "modelbuild.lock" in os.path.relpath(path):
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1
    write(path, data, scratch)

disk.write = counted
sys.exit(main())
"""


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A locked project, and what is locked was changed and built since."""
    folder = tmp_path_factory.mktemp("locked")
    write_project(folder)
    assert modelbuild(folder, "lock").code == 0
    manifest = folder / "models.yaml"
    text = manifest.read_text("utf-8").replace("accept:", "quantize: {range: {method: minmax}}, accept:")
    manifest.write_text(text, "utf-8")
    assert modelbuild(folder, "build").code == 0
    return folder


@pytest.fixture(scope="module")
def undisturbed(locked: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, bytes], int]:
    """What `lock` makes of it if nobody kills it, and how many files it writes."""
    folder = Path(shutil.copytree(locked, tmp_path_factory.mktemp("undisturbed") / "project"))
    written = modelbuild(folder, "lock", "--json").json["written"]
    assert written[-1] == "modelbuild.lock" and len(written) > 3
    return lock_of(folder), len(written)


def lock_of(folder: Path) -> dict[str, bytes]:
    return {name: data for name, data in files_below(folder).items() if name.startswith("modelbuild.lock")}


@pytest.mark.parametrize("left", [*(pytest.param(n, marks=pytest.mark.long) for n in (0, 1)), 2, -1])
def test_nothing_is_half_written_and_half_a_lock_is_named(
    locked: Path, undisturbed: tuple[dict[str, bytes], int], tmp_path: Path, left: int
) -> None:
    folder = Path(shutil.copytree(locked, tmp_path / "project"))
    before, (after, count) = lock_of(folder), undisturbed
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(left % count), "lock"],
        cwd=folder,
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    found = lock_of(folder)
    assert all(data in (before[name], after[name]) for name, data in found.items())
    assert sum(data != before[name] for name, data in found.items()) == left % count
    assert found["modelbuild.lock"] == before["modelbuild.lock"]
    build = modelbuild(folder, "build", "--locked")
    assert build.code == 2
    for name, data in found.items():
        assert (f"{name}: the record" in build.err) == (data != before[name])
    assert modelbuild(folder, "lock").code == 0
    assert lock_of(folder) == after and not list((folder / ".modelbuild/work").iterdir())
    assert modelbuild(folder, "build", "--locked", "-q").code == 0
