"""The guard: a small process between the builder and its workers, so that nothing of a build outlives it.

builder -> guard -> a supervisor for each worker -> worker -> whatever a stage starts. Whichever of them is
killed, one above or below it is left that ends the rest.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import sys
from contextlib import suppress
from types import FrameType

from modelbuild.build import processes, worker

OPEN = 1 << 16  # descriptors that whoever started the builder may have left open are sought below this
DESCRIPTORS = 4  # of a worker: its tasks, its replies, its supervisor's last word, its log
WAITED = (signal.SIGTERM, signal.SIGCHLD)  # what a supervisor waits for
_supervisors: set[int] = set()


def main(arguments: list[str]) -> None:
    """Starts a worker for every byte that standard input, a socket, brings along with its descriptors.

    Ends, and all below with it, when the socket closes or the parent, the only argument, dies.
    """
    os.closerange(3, OPEN)
    channel = socket.socket(fileno=os.dup(0))
    worker.close_standard_input()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt is the builder's to handle
    signal.signal(signal.SIGTERM, _end)
    processes.adopt_orphans()
    processes.die_with(int(arguments[0]), signal.SIGTERM)
    ended, wakeup = os.pipe()
    os.set_blocking(ended, False)
    os.set_blocking(wakeup, False)
    signal.set_wakeup_fd(wakeup)
    signal.signal(signal.SIGCHLD, lambda *_: None)  # for the wakeup only
    with selectors.DefaultSelector() as selector:
        selector.register(channel, selectors.EVENT_READ)
        selector.register(ended, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is channel:
                    data, descriptors, _, _ = socket.recv_fds(channel, 1, DESCRIPTORS)
                    if not data:
                        _end()
                    _fork_supervisor(descriptors, [channel.fileno(), ended, wakeup])
                else:
                    os.read(ended, 4096)
                    _reap()


def _reap() -> None:
    """Buries who died, and kills whom a supervisor that was killed has left."""
    alive = True
    while alive:
        try:
            pid = os.waitpid(-1, os.WNOHANG)[0]
        except ChildProcessError:
            break
        _supervisors.discard(pid)
        alive = pid != 0
    for orphan in set(processes.children()) - _supervisors:
        processes.kill(orphan)


def _end(number: int = 0, frame: FrameType | None = None) -> None:
    """Lets each supervisor end its own first: one that is killed could not, if this process is killed, too,
    before it has got its orphans; and not every system hands them over."""
    for by in (signal.SIGTERM, signal.SIGCONT):
        for supervisor in _supervisors:
            with suppress(ProcessLookupError):
                os.kill(supervisor, by)
    for supervisor in _supervisors:
        with suppress(ChildProcessError):
            os.waitpid(supervisor, 0)
    processes.kill_children()
    os._exit(0)


def _fork_supervisor(descriptors: list[int], others: list[int]) -> None:
    guard = os.getpid()
    # a handler may run just before the wait, or the interpreter forget in the child what came at once
    before = signal.pthread_sigmask(signal.SIG_BLOCK, WAITED)
    pid = os.fork()
    if pid == 0:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for descriptor in others:
            os.close(descriptor)
        try:
            _supervise(guard, *descriptors)
        finally:
            os._exit(1)
    _supervisors.add(pid)
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    for descriptor in descriptors:
        os.close(descriptor)


def _supervise(guard: int, tasks: int, replies: int, last_word: int, log: int) -> None:
    """Runs one worker, ends all that it leaves, then says how it ended: `{"status": ..., "peak": bytes}`."""
    _supervisors.clear()
    os.setpgid(0, 0)
    processes.adopt_orphans()
    processes.die_with(guard, signal.SIGTERM)
    supervisor = os.getpid()
    pid = os.fork()
    if pid == 0:
        os.close(last_word)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, WAITED)
        os.setpgid(0, 0)
        processes.adopt_orphans()
        processes.die_with(supervisor, signal.SIGKILL)
        worker.serve(tasks, replies, log)
        os._exit(0)

    signal.signal(signal.SIGCHLD, lambda *_: None)  # not every system keeps what is ignored for who waits
    for descriptor in (tasks, replies, log):
        os.close(descriptor)
    ended = 0
    while not ended:
        ended, status, used = os.wait4(pid, os.WNOHANG)
        if not ended and signal.sigwait(WAITED) == signal.SIGTERM:
            _kill_group(pid)
            _end()
    _kill_group(pid)
    processes.kill_children()
    word = {"status": os.waitstatus_to_exitcode(status), "peak": worker.in_bytes(used.ru_maxrss)}
    os.write(last_word, json.dumps(word).encode("ascii"))
    os._exit(0)


def _kill_group(worker_id: int) -> None:
    """All that can be done where the kernel hands no orphans over; a new session is a way out of it."""
    if sys.platform != "linux":
        with suppress(ProcessLookupError):
            os.killpg(worker_id, signal.SIGKILL)
