"""Workers seen from the builder: started when needed, kept for reuse, none left behind."""

from __future__ import annotations

import fcntl
import heapq
import os
import select
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from modelbuild.build import disk
from modelbuild.build.guarding import Guard
from modelbuild.build.interrupts import Shielded
from modelbuild.build.task_lines import Sender
from modelbuild.build.tasks import Progress, Reply, Task, crashed, from_line

MAY_HOLD = 512 * 2**20  # bytes; a worker that holds more after an action is replaced by a fresh one
BLOCK = 1 << 16
_PIPE = 1 << 18  # bytes; a chip's recipe, twice, goes into it whole, and nobody waits until it is read


def _widen(pipe: int) -> None:
    """Lets more go into a pipe, where the system can and the user may."""
    if sys.platform == "linux":
        with suppress(OSError):
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE)


class _Worker:
    """The builder's ends of one worker's pipes, and the bytes of a reply that is not whole yet."""

    def __init__(self, number: int, log: Path) -> None:
        """Raises OSError."""
        self.number = number
        self.log = log
        self.task: Task | None = None
        self._sender = Sender()
        self._buffer = b""
        log.unlink(missing_ok=True)
        printed = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        tasks, self._tasks = os.pipe()
        _widen(tasks)
        self.replies, replies = os.pipe()
        self.last_word, last_word = os.pipe()
        os.set_blocking(self.replies, False)
        self._inherited = [tasks, replies, last_word, printed]

    def start(self, guard: Guard) -> None:
        """Has the guard start the process. Raises OSError if it has died."""
        guard.start(self._inherited)
        while self._inherited:
            os.close(self._inherited.pop())

    def send(self, task: Task) -> None:
        """Hands over a task; a worker that has died meanwhile is noticed when it is read."""
        self.task = task
        data = memoryview(self._sender.lines(task, self.log))
        with suppress(BrokenPipeError):
            while data:
                data = data[os.write(self._tasks, data) :]

    def lines(self) -> tuple[list[bytes], bool]:
        """The whole lines that are there to be read, and whether there may be more."""
        more, size = True, BLOCK
        while size == BLOCK:
            try:
                data = os.read(self.replies, BLOCK)
            except BlockingIOError:
                break
            size, more = len(data), bool(data)
            self._buffer += data
        *whole, self._buffer = self._buffer.split(b"\n")
        return whole, more

    def read_last_word(self) -> bytes:
        """What the supervisor says when all is over; blocks until then."""
        data = b""
        while more := os.read(self.last_word, BLOCK):
            data += more
        return data

    def retire(self) -> None:
        """Lets the process end, once it has nothing to do."""
        if not self.is_retired:
            os.close(self._tasks)
            self._tasks = -1

    @property
    def is_retired(self) -> bool:
        """Whether it gets no tasks any more."""
        return self._tasks < 0

    def close(self) -> None:
        """Closes the pipes."""
        for descriptor in (self._tasks, self.replies, self.last_word, *self._inherited):
            if descriptor >= 0:
                os.close(descriptor)


class Pool:
    """Up to `jobs` workers. `close`, which has to be called in whatever way things end, leaves none behind.

    The workers die with the thread that made them, so that must be the one that waits for them.
    """

    def __init__(self, jobs: int, environment: Mapping[str, str | None], folder: Path) -> None:
        self._environment = environment
        self._folder = folder
        self._poll = select.poll()
        self._heard: dict[int, _Worker] = {}  # by the descriptors that are polled
        self._workers: set[_Worker] = set()
        self._idle: list[_Worker] = []
        self._numbers = list(range(jobs))  # a heap of those that no worker has
        self._guard: Guard | None = None

    def open(self) -> None:
        """Makes the folder of their logs. Raises ModelbuildError (exit 1) if the disk refuses."""
        try:
            disk.make_state_folder(self._folder)
        except OSError as error:
            raise disk.failure("make the working folder", self._folder, error) from error

    def close(self) -> None:
        """Ends all workers and waits until they have; the second time it does nothing."""
        with Shielded():
            if self._guard is not None:
                self._guard.wait()
            while self._workers:  # if the guard was killed, the supervisors are still at work
                worker = self._workers.pop()
                worker.read_last_word()
                worker.close()

    def end(self) -> None:
        """Begins to end the workers, which get no more tasks; `close` waits until they have."""
        with Shielded():
            if self._guard is not None:
                self._guard.end()

    def retire(self) -> None:
        """Lets every worker end as soon as it has done what it has; for another task there will be others."""
        with Shielded():
            for worker in self._workers:
                worker.retire()
            while self._idle:
                heapq.heappush(self._numbers, self._idle.pop().number)

    @property
    def has_room(self) -> bool:
        """Whether another task can start now."""
        return bool(self._idle or self._numbers)

    def start(self, task: Task) -> int:
        """Gives the task to an idle worker, or to a new one; the worker's number, from 0 to jobs - 1.

        Raises ModelbuildError (exit 1) if none can be started.
        """
        if self._idle:
            worker = self._idle.pop()
        else:
            try:
                with Shielded():
                    worker = self._hire()
            except OSError as error:
                raise disk.failure("start a worker in", self._folder, error) from error
        worker.send(task)
        return worker.number

    def wait(self, block: bool = True) -> list[Reply | Progress]:
        """What the workers say; if `block`, waits until one has ended a task or told how far it is."""
        heard: list[Reply | Progress] = []
        while not heard:
            for descriptor, _ in self._poll.poll(None if block else 0):
                worker = self._heard.get(descriptor)  # none, if it was buried in this very round
                if worker is not None and descriptor == worker.last_word:
                    heard += self._bury(worker)
                elif worker is not None:
                    heard += self._listen(worker)
            if not block:
                break
        return heard

    def _listen(self, worker: _Worker) -> list[Reply | Progress]:
        heard: list[Reply | Progress] = []
        lines, more = worker.lines()
        for line in lines:
            if worker.task is None:  # said by what its stage left behind
                continue
            said = from_line(line, worker.task, worker.number)
            heard.append(said)
            if isinstance(said, Reply):
                worker.task = None
                had_secrets = bool(said.task.secrets)  # which its memory may still hold
                self._free(worker, said.resident > MAY_HOLD or not said.alone or had_secrets)
        if not more:  # its supervisor will say why
            self._turn_from(worker.replies)
        return heard

    def _free(self, worker: _Worker, is_spent: bool) -> None:
        if is_spent or worker.is_retired:
            worker.retire()
            heapq.heappush(self._numbers, worker.number)
        else:
            self._idle.append(worker)

    def _bury(self, worker: _Worker) -> list[Reply | Progress]:
        """Takes leave of a worker that has ended; if it had a task, that has failed."""
        last_word = worker.read_last_word()
        heard = []
        if worker.replies in self._heard:
            heard = self._listen(worker)
        is_at_work = worker.task is not None
        if worker.task is not None:
            heard.append(crashed(worker.task, worker.number, worker.log, last_word))
        self._turn_from(worker.replies)
        self._turn_from(worker.last_word)
        if worker in self._idle:
            self._idle.remove(worker)
        if is_at_work or not worker.is_retired:
            heapq.heappush(self._numbers, worker.number)
        self._workers.remove(worker)
        worker.close()
        return heard

    def _hire(self) -> _Worker:
        """A new worker. Raises OSError."""
        number = self._numbers[0]
        worker = _Worker(number, self._folder / f"worker-{number}.log")
        try:
            self._start(worker)
        except OSError:
            worker.close()
            raise
        heapq.heappop(self._numbers)
        self._workers.add(worker)
        for descriptor in (worker.replies, worker.last_word):
            self._poll.register(descriptor, select.POLLIN)
            self._heard[descriptor] = worker
        return worker

    def _turn_from(self, descriptor: int) -> None:
        """Polls it no more, if it was."""
        if self._heard.pop(descriptor, None) is not None:
            self._poll.unregister(descriptor)

    def _start(self, worker: _Worker) -> None:
        if self._guard is not None:
            try:
                return worker.start(self._guard)
            except (BrokenPipeError, ConnectionResetError):  # somebody killed it
                self._guard.wait()
        self._guard = Guard(self._environment, self._folder / "guard.log")
        return worker.start(self._guard)
