"""Folders for one run: gone at its end, and after a kill with the next run; those of others stay."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from modelbuild.project.scratch import scratch
from tests.e2e.command import REPOSITORY

PREFIX = "modelbuild-test-"
RUN = f"""
import sys
from modelbuild.project.scratch import scratch
with scratch({PREFIX!r}) as folder:
    (folder / "blob").write_bytes(b"much")
    (folder / "blob").chmod(0o400)
    print(folder, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def start(temporary: Path) -> tuple[subprocess.Popen[str], Path]:
    process = subprocess.Popen(
        [sys.executable, "-c", RUN],
        env={**os.environ, "TMPDIR": str(temporary), "PYTHONPATH": str(REPOSITORY)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    return process, Path(process.stdout.readline().rstrip("\n"))


def test_it_is_gone_at_the_end(temporary: Path) -> None:
    with scratch(PREFIX) as folder:
        (folder / "file").write_bytes(b"")
        assert folder.is_relative_to(temporary)
    with pytest.raises(KeyboardInterrupt), scratch(PREFIX):
        raise KeyboardInterrupt
    assert list(temporary.iterdir()) == []


def test_what_a_killed_run_left_goes_with_the_next_and_what_lives_stays(temporary: Path) -> None:
    killed, left = start(temporary)
    alive, used = start(temporary)
    for name in ("no-lock", "other"):
        (temporary / f"{PREFIX}{name}").mkdir()
    (temporary / "elsewhere").mkdir()
    (temporary / "elsewhere/held").write_bytes(b"")
    (temporary / f"{PREFIX}link").symlink_to("elsewhere")
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert (left / "blob").exists()
    with scratch(PREFIX):
        assert not left.parent.exists() and (used / "blob").exists()
    alive.communicate("")
    assert alive.returncode == 0 and not used.parent.exists()
    assert sorted(path.name for path in temporary.iterdir()) == [
        "elsewhere",
        *(f"{PREFIX}{name}" for name in ("link", "no-lock", "other")),
    ]
    assert (temporary / "elsewhere/held").exists()


def test_the_folders_of_other_users_stay(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    killed, left = start(temporary)
    killed.kill()
    killed.communicate()
    user = os.geteuid()
    with monkeypatch.context() as patched:
        patched.setattr("os.geteuid", lambda: user + 1)
        with scratch(PREFIX):
            assert left.exists()
    with scratch(PREFIX):
        assert not left.exists()
