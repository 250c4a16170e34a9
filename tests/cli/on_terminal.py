"""A command on a real terminal: a pty of a given size, and everything that was written to it."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import signal
import struct
import sys
import termios
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.command import REPOSITORY

CONTROL = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")
UNSET = ("CI", "COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "COLORTERM")
PATIENCE = 30  # seconds until a command that hangs is killed


@dataclass(frozen=True)
class Seen:
    """What a command wrote, and its exit code (negative: the signal that ended it)."""

    code: int
    raw: str

    @property
    def text(self) -> str:
        """Without control sequences."""
        return CONTROL.sub("", self.raw).replace("\r\n", "\n")

    @property
    def left(self) -> list[str]:
        """The lines that stay on the screen, found as a terminal finds them: cursor up, erase, print."""
        lines, row = [""], 0
        for part in re.split(r"(\x1b\[[0-9;?]*[a-zA-Z]|\r|\n)", self.raw):
            if part == "\n":
                row += 1
                if row == len(lines):
                    lines.append("")
            elif match := re.fullmatch(r"\x1b\[(\d*)A", part):
                row = max(0, row - int(match[1] or 1))
            elif part == "\x1b[2K":
                lines[row] = ""
            elif part and not part.startswith(("\x1b", "\r")):
                lines[row] += part
        return lines


def command(folder: Path, *words: str) -> list[str]:
    """The words of `modelbuild`, by this Python."""
    return [sys.executable, "-m", "modelbuild", *words, "-C", str(folder)]


def seen(
    words: Sequence[str],
    *,
    columns: int = 80,
    rows: int = 24,
    environment: Mapping[str, str] | None = None,
    once: tuple[str, Callable[[int, int], None]] | None = None,
) -> Seen:
    """Runs the words on a terminal. `once` is a text, and what is done with the process and the terminal when
    the text is seen first."""
    pid, terminal = pty.fork()
    if pid == 0:
        signal.alarm(PATIENCE)
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        modes = termios.tcgetattr(0)
        modes[3] &= ~termios.ECHO  # what a test types is not to be seen
        termios.tcsetattr(0, termios.TCSANOW, modes)
        kept = {name: value for name, value in os.environ.items() if name not in UNSET}
        os.execve(
            words[0],
            words,
            {**kept, "TERM": "xterm-256color", "PYTHONPATH": str(REPOSITORY), **(environment or {})},
        )
    text = b""
    while True:
        try:
            data = os.read(terminal, 1 << 16)
        except OSError:  # Linux says so that the other side is closed
            break
        if not data:
            break
        text += data
        if once is not None and once[0] in text.decode("utf-8", "replace"):
            _, act = once
            once = None
            act(pid, terminal)
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    return Seen(os.waitstatus_to_exitcode(status), text.decode("utf-8", "replace"))


def answer(pid: int, terminal: int) -> None:
    """Presses Return."""
    os.write(terminal, b"\n")


def resize(terminal: int, columns: int, rows: int) -> None:
    """What a window manager does."""
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
