"""The guard seen from the builder: started with what workers may know, and asked for each of them."""

from __future__ import annotations

import fcntl
import os
import signal
import sys
from _socket import SCM_RIGHTS, SOL_SOCKET, socketpair  # `socket` takes longer than to start a process
from array import array
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

# Nothing of the user's session may reach an output by these ways.
FIXED_ENVIRONMENT = {"PYTHONHASHSEED": "0", "PYTHONUTF8": "1", "LC_ALL": "C.UTF-8", "TZ": "UTC"}
# Keys name the libraries that this process finds, so the workers must find the same, whatever flags it has.
GUARD = """
import sys
sys.path[:] = sys.argv[2:]
from modelbuild.build import guard
guard.main(sys.argv[1:2])
"""


class Guard:
    """The process that starts the workers, and that ends all of them when its channel closes."""

    def __init__(self, environment: Mapping[str, str | None], log: Path) -> None:
        """`environment` is added to this process's own; a variable that is None there is left out.

        Raises OSError."""
        variables = {**os.environ, **FIXED_ENVIRONMENT, **environment}
        self._channel, theirs = socketpair()
        given = [_above_standard(theirs.detach())]
        try:
            given.append(_above_standard(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)))
            self._process: int | None = os.posix_spawn(
                sys.executable,
                [sys.executable, "-P", "-c", GUARD, str(os.getpid()), *map(os.path.abspath, sys.path)],
                {name: value for name, value in variables.items() if value is not None},
                file_actions=[(os.POSIX_SPAWN_DUP2, given[min(at, 1)], at) for at in range(3)],
                setpgroup=0,
                setsigdef=[signal.SIGPIPE, signal.SIGXFSZ],  # which Python ignores
            )
        except OSError:
            self._channel.close()
            raise
        finally:
            for descriptor in given:
                os.close(descriptor)

    def start(self, descriptors: list[int]) -> None:
        """Starts a worker that has them. Raises OSError if the guard has died."""
        self._channel.sendmsg([b"w"], [(SOL_SOCKET, SCM_RIGHTS, array("i", descriptors))])

    def end(self) -> None:
        """Begins to end all workers."""
        self._channel.close()

    def wait(self) -> None:
        """Waits until all workers have ended."""
        self.end()
        if self._process is not None:
            with suppress(ChildProcessError):  # whoever ignores SIGCHLD waits until all have ended, too
                os.waitpid(self._process, 0)
            self._process = None


def _above_standard(descriptor: int) -> int:
    """The same in the place of a descriptor that may stand where standard streams do, if those are closed."""
    try:
        return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 3)
    finally:
        os.close(descriptor)
