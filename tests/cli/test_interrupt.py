"""Ctrl-C at a real terminal, twice; and a terminal that goes away."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelbuild.cli.main import main
from tests.e2e.command import modelbuild
from tests.stages.golden import write_project

CTRL_C = b"\x03"


class Terminal:
    """`modelbuild build` at a terminal of its own."""

    def __init__(self, folder: Path) -> None:
        root = str(Path(__file__).parents[2])
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            code = "import sys; from modelbuild.cli.main import main; sys.exit(main())"
            more = {"PYTHONPATH": root, "TERM": "xterm"}
            words = [sys.executable, "-c", code, "build", "-C", str(folder), "-j2"]
            os.execve(sys.executable, words, {**os.environ, **more})

    def read(self) -> bytes:
        """What comes next; nothing at the end."""
        try:
            return os.read(self.master, 65536)
        except OSError:  # Linux's word for a terminal that nobody has open any more
            return b""

    def wait(self) -> int:
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    """A build that has said its first word, of many."""
    write_project(tmp_path)
    found = Terminal(tmp_path)
    assert found.read()
    yield found
    os.close(found.master)


def build_again(folder: Path) -> str:
    done = modelbuild(folder, "build", "--until", "check")
    assert done.code == 0, done.err
    return done.err


def test_ctrl_c_twice_ends_a_build_without_a_traceback(terminal: Terminal, tmp_path: Path) -> None:
    os.write(terminal.master, CTRL_C + CTRL_C)
    said = b""
    while more := terminal.read():
        said += more
    assert terminal.wait() == 130
    assert b"interrupted: what was finished is kept" in said
    assert b"Traceback" not in said
    assert "another build" not in build_again(tmp_path)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["build"], "what was finished is kept, and the next build goes on from there"),
        (["convert", "a.onnx", "-o", "b.onnx"], "nothing is half written, and the next convert begins anew"),
        (["-q", "pack", "a.onnx"], "nothing is half written, and the next pack begins anew (--cache DIR"),
        (["pack", "a.onnx", "--cache=c"], "the next pack with that --cache goes on from what was finished"),
    ],
)
def test_it_says_what_each_verb_leaves(
    words: list[str], says: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(words: list[str]) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("modelbuild.cli.main._run", interrupted)
    assert main(words) == 130
    assert says in capsys.readouterr().err


@pytest.mark.parametrize("screen", ["xterm", "dumb"])
def test_a_terminal_that_has_gone_before_its_signal_comes_is_no_disk(tmp_path: Path, screen: str) -> None:
    """Nothing but the write tells of it here: it is not the terminal that the session has."""
    write_project(tmp_path)
    master, slave = os.openpty()
    os.close(master)
    command = [sys.executable, "-m", "modelbuild", "build"]
    environment = {name: value for name, value in os.environ.items() if name != "CI"}
    done = subprocess.run(
        command, cwd=tmp_path, stderr=slave, env={**environment, "TERM": screen}, timeout=300, check=False
    )
    os.close(slave)
    assert done.returncode == 129
    build_again(tmp_path)


def test_an_error_that_a_terminal_that_has_gone_cannot_be_told(tmp_path: Path) -> None:
    master, slave = os.openpty()
    os.close(master)
    command = [sys.executable, "-m", "modelbuild", "check"]
    assert subprocess.run(command, cwd=tmp_path, stderr=slave, timeout=300, check=False).returncode == 129
    os.close(slave)


def test_a_terminal_that_goes_away_ends_a_build(tmp_path: Path) -> None:
    write_project(tmp_path)
    gone = Terminal(tmp_path)
    assert gone.read()
    os.close(gone.master)
    assert gone.wait() == 129
    build_again(tmp_path)
