"""Workers and commands forked from a process that has imported what they import: once a test session, instead
of an interpreter's start and the frameworks' imports in each of hundreds of builds.

What is forked is a process of its own, as what is started is. Where a test changes what a start depends on
(limits, processors, variables that libraries read as they load), there is a start; so there is on systems
without pidfd."""

from __future__ import annotations

import _socket
import functools
import json
import os
import resource
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import NoReturn

from modelbuild.build import guarding, pool
from modelbuild.project import layout

START = (
    "import sys; sys.path[:] = sys.argv[2:]; from tests import prepared_process as it; it.main(sys.argv[1])"
)
LOADED_WITH = (
    "PYTHON",
    "LC_",
    "LANG",
    "LD_",
    "NPY_",
    "OMP_",
    "OPENBLAS_",
    "MKL_",
    "MALLOC_",
    "GLIBC_",
    "ORT_",
)
COMMAND = "from tests import prepared; prepared.run_command()"
ASKED = "MODELBUILD_TEST_PREPARED"  # the variable by which a command that is started knows whom to ask
LIMITS = [getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_")]
SAYS_READY = b"ready"


@dataclass(frozen=True)
class Surroundings:
    """What a process has from the one that starts it, other than what a request names."""

    limits: tuple[tuple[int, int], ...]
    processors: frozenset[int]
    user: tuple[int, ...]
    variables: tuple[tuple[str, str], ...]

    @classmethod
    def here(cls, variables: Mapping[str, str]) -> Surroundings:
        """Of this process, were `variables` its environment."""
        read = sorted(
            one for one in variables.items() if one[0].startswith(LOADED_WITH) and one[0] != "PYTHONPATH"
        )
        return cls(
            tuple(resource.getrlimit(limit) for limit in LIMITS),
            frozenset(os.sched_getaffinity(0)),
            (os.getuid(), os.geteuid(), os.getgid(), os.getegid()),
            tuple(read),
        )


@dataclass(frozen=True)
class Prepared:
    """Where the process listens, and what whoever asks it must have in common with it."""

    address: Callable[[], str]
    surroundings: Surroundings

    def fork(
        self, kind: str, words: Sequence[str], variables: Mapping[str, str], streams: Sequence[int]
    ) -> socket.socket:
        """Has it fork a `guard` or a `command` in this folder; the line on which comes how that ended."""
        mask = os.umask(0)
        os.umask(mask)
        folder = str(Path.cwd())
        told = {"kind": kind, "words": words, "variables": variables, "folder": folder, "umask": mask}
        line = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            line.connect(self.address())
            socket.send_fds(line, [json.dumps({**told, "path": sys.path}).encode("ascii")], list(streams))
        except OSError:
            line.close()
            raise
        return line


_prepared: Prepared | None = None


def use(prepared: Prepared | None) -> Prepared | None:
    """This process has its workers from it, or starts them; from which it had them before."""
    global _prepared
    before, _prepared = _prepared, prepared
    return before


def prepared_for(variables: Mapping[str, str]) -> Prepared | None:
    """Who forks a process with that environment; None where it must be started."""
    if _prepared is not None and Surroundings.here(variables) == _prepared.surroundings:
        return _prepared
    return None


def _for_workers(
    variables: Mapping[str, str], more: Mapping[str, str | None] = layout.ENVIRONMENT
) -> dict[str, str]:
    """What a build makes of its environment for its workers."""
    told: dict[str, str | None] = {**variables, **guarding.FIXED_ENVIRONMENT, **more}
    return {name: value for name, value in told.items() if value is not None}


@contextmanager
def at_work() -> Iterator[Prepared | None]:
    """The process, which starts when it is first needed and ends with this; None where there is no pidfd."""
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (AttributeError, OSError):  # another system, or a kernel of before 5.3
        yield None
        return
    variables = _for_workers(os.environ)
    with tempfile.TemporaryDirectory(prefix="prepared-") as folder, ExitStack() as until_the_end:

        @functools.cache
        def address() -> str:
            socket_file = str(Path(folder, "socket"))
            words = [sys.executable, "-P", "-c", START, socket_file, *map(os.path.abspath, sys.path)]
            pipe = subprocess.PIPE
            process = subprocess.Popen(
                words, env=variables, stdin=pipe, stdout=pipe, cwd="/", process_group=0
            )
            until_the_end.enter_context(process)
            assert process.stdin is not None and process.stdout is not None
            until_the_end.callback(process.stdin.close)  # which ends it
            if process.stdout.read(len(SAYS_READY)) != SAYS_READY:
                raise RuntimeError("the process that workers are forked from has not started")
            return socket_file

        yield Prepared(address, Surroundings.here(variables))


class ForkedGuard(guarding.Guard):
    """A guard of the same kind that is forked, not started."""

    def __init__(self, environment: Mapping[str, str | None], log: Path) -> None:
        variables = _for_workers(os.environ, environment)
        prepared = prepared_for(variables)
        self._line: socket.socket | None = None
        if prepared is None:
            super().__init__(environment, log)
            return
        self._process = None
        self._channel, theirs = _socket.socketpair()
        try:
            with log.open("ab") as stream:
                streams = [theirs.fileno(), stream.fileno(), stream.fileno()]
                self._line = prepared.fork("guard", [], variables, streams)
        except OSError:
            self._channel.close()
            raise
        finally:
            theirs.close()

    def wait(self) -> None:
        super().wait()
        if self._line is not None:
            self._line.recv(64)
            self._line.close()
            self._line = None


def started_command(*words: str) -> tuple[list[str], dict[str, str]]:
    """How to start `modelbuild WORDS` with forked workers, and the variables that this takes."""
    if _prepared is None:
        return [sys.executable, "-m", "modelbuild", *words], {}
    told = [_prepared.address(), *astuple(_prepared.surroundings)]
    told[2] = sorted(told[2])
    return [sys.executable, "-c", COMMAND, *words], {ASKED: json.dumps(told)}


def run_command() -> NoReturn:
    """The program that `started_command` starts."""
    address, limits, processors, user, variables = json.loads(os.environ.pop(ASKED))
    pairs = [tuple(tuple(one) for one in many) for many in (limits, variables)]
    use(Prepared(lambda: address, Surroundings(pairs[0], frozenset(processors), tuple(user), pairs[1])))
    vars(pool)["Guard"] = ForkedGuard
    from modelbuild.cli.main import main

    sys.exit(main())


def command(
    folder: Path, words: Sequence[str], more: Mapping[str, str], timeout: float
) -> tuple[int, str, str] | None:
    """The exit code and what `modelbuild WORDS` printed, in a process of its own; None: it must start."""
    variables = {**os.environ, **more}
    prepared = prepared_for(_for_workers(variables))
    if prepared is None or any(name.startswith(LOADED_WITH) for name in more):
        return None
    with (
        tempfile.TemporaryFile() as out,
        tempfile.TemporaryFile() as err,
        Path(os.devnull).open("rb") as none,
    ):
        streams = [none.fileno(), out.fileno(), err.fileno()]
        with prepared.fork("command", [str(folder), *words], variables, streams) as line:
            line.settimeout(timeout)
            ended: int = json.loads(line.recv(64))
        return ended, _printed(out.fileno()), _printed(err.fileno())


def _printed(descriptor: int) -> str:
    return os.pread(descriptor, os.fstat(descriptor).st_size, 0).decode("utf-8")
