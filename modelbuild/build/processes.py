"""Keeping hold of processes: who dies with whom, who inherits orphans, and ending all that lies below one."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

from modelbuild.errors import EXIT_FAILED

PR_SET_PDEATHSIG = 1  # linux/prctl.h
PR_SET_CHILD_SUBREAPER = 36


def die_with(parent: int, by: signal.Signals) -> None:
    """Asks the kernel to send `by` to this process when its parent ends, however that ends. Linux only."""
    _control(PR_SET_PDEATHSIG, by)
    if os.getppid() != parent:  # it ended before the kernel was asked
        os._exit(EXIT_FAILED)


def adopt_orphans() -> None:
    """Makes whoever loses its parent below this process a child of it. Linux only."""
    _control(PR_SET_CHILD_SUBREAPER, 1)


def has_children() -> bool:
    """Whether this process has any child that lives; buries one that does not."""
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return False
    return True


def kill_children() -> None:
    """Kills and reaps all that descends from this process, which adopts orphans, until none is left but what
    runs with the rights of another user. Linux only."""
    while [child for child in children() if kill(child)]:
        with suppress(ChildProcessError):
            os.waitpid(-1, 0)  # a child that dies hands its own over, so look again


def kill(child: int) -> bool:
    """Kills a child that was not waited for, so that its number is still its own; False if it may not."""
    try:
        os.kill(child, signal.SIGKILL)
    except PermissionError:
        return False
    return True


def children() -> list[int]:
    """The process ids of this process's children, as far as the system lists them."""
    found: list[int] = []
    with suppress(OSError):
        for task in Path("/proc/self/task").iterdir():
            found += map(int, (task / "children").read_bytes().split())
        return found
    return _scan()


def _scan() -> list[int]:
    """The same from every process's line, for kernels built without lists of children."""
    own = os.getpid()
    found = []
    with suppress(OSError):
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit():
                with suppress(OSError, ValueError, IndexError):
                    # the name in parentheses may hold anything; state and parent follow it
                    parent = int((folder / "stat").read_bytes().rpartition(b")")[2].split()[1])
                    if parent == own:
                        found.append(int(folder.name))
    return found


def _control(option: int, value: int) -> None:
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)
