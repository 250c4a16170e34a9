"""A checkout that cannot be written to: what needs no writing works, and what does says so."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.command import Done, files_below, modelbuild

Run = Callable[..., Done]
MOUNT = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && cd "$0" && exec "$@"'


def in_namespace(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Runs the command where the folder is mounted read-only; nobody else sees that mount."""
    words = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    return subprocess.run(
        [*words, "sh", "-c", MOUNT, str(folder), *command], capture_output=True, text=True, check=False
    )


def can_mount(folder: Path) -> bool:
    return shutil.which("unshare") is not None and in_namespace(folder, "true").returncode == 0


@pytest.fixture(params=["mounted read-only", "without the right to write"])
def read_only(request: pytest.FixtureRequest, built: Path, tmp_path: Path) -> Iterator[Run]:
    """Runs the command in a built checkout that is read-only; afterwards no byte of it may differ."""
    if request.param == "mounted read-only" and not can_mount(built):
        pytest.skip("this system lets nobody mount a folder read-only")
    if request.param != "mounted read-only" and os.geteuid() == 0:
        pytest.skip("modes do not hold root back")
    modelbuild(built, "build", "-q")  # a copy has other inodes: all was read again, and is known now
    modelbuild(built, "check")
    before = files_below(built)
    if request.param == "mounted read-only":

        def run(*arguments: str) -> Done:
            done = in_namespace(built, sys.executable, "-m", "modelbuild", *arguments)
            assert "Traceback" not in done.stderr + done.stdout, done.stderr
            return Done(done.returncode, done.stdout, done.stderr)

        yield run
    else:
        subprocess.run(["chmod", "-R", "a-w", str(built)], check=True)
        try:
            yield lambda *arguments: modelbuild(built, *arguments)
        finally:
            subprocess.run(["chmod", "-R", "u+w", str(built)], check=True)
    assert files_below(built) == before


def test_what_needs_no_writing_works(read_only: Run) -> None:
    done = read_only("build", "--json")
    assert done.code == 0, done.err
    assert done.json["ok"] and done.json["actions"]["run"] == 0
    # without the snapshot of the last build, all is looked at
    done = read_only("build", "--json", "--until", "quantize")
    assert done.code == 0, done.err
    assert done.json["actions"]["run"] == 0 and done.json["actions"]["cached"] > 0
    assert read_only("check", "--json").json["ok"] is True
    for words in ("status --json", "config digits@kl720 --json", "why digits@kl720:quantize --json"):
        done = read_only(*shlex.split(words))
        assert done.code == 0, (words, done.err)
    assert read_only("build", "--dry-run", "--json").json["actions"]["would_run"] == 0
    assert read_only("inspect", "dist/digits-kl720/models_720.sim.nef").code == 0


def test_what_needs_writing_says_so(read_only: Run) -> None:
    for words in (["build", "--set", "quantize.range.method=minmax"], ["clean"]):
        done = read_only(*words)
        assert done.code == 1, (words, done.out)
        assert "cannot " in done.err and (".modelbuild" in done.err or "dist" in done.err)
        assert "Read-only file system" in done.err or "Permission denied" in done.err
        assert "make the file system writable" in done.err or "give yourself the right" in done.err
