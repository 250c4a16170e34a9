"""The file system's own clock: is a file old enough that any further write shows in its times?"""

from __future__ import annotations

import os
import time

# A kernel's file times step by a timer tick, at most 10 ms; the rest is distrust of clocks.
GRANULARITY_NS = 100_000_000
# FAT stores times in steps of 2 s, the coarsest of the file systems in use.
COARSE_NS = 2_000_000_000
_SECOND = 1_000_000_000
_OFFSET_NS = time.time_ns() - time.monotonic_ns()  # becomes less where somebody sets the clock back
_FRESH_NS = 10_000_000  # for so long one look at the clock serves


class Clock:
    """Reads the time as `folder`'s file system stamps it, which may be a server's and not this machine's.

    Without a folder, or where none can be written, it is this machine's time, and the margin is the coarse
    one."""

    def __init__(self, folder: str | None) -> None:
        self._folder = folder
        self._device: int | None = None
        self._now = 0
        self._looked = 0

    def is_settled(self, found: os.stat_result) -> bool:
        """Whether the file that `found` tells of lay unchanged for longer than its clock's step: only then
        does a later write give it another ctime. mtime can be set at will, and is not asked."""
        if found.st_ctime_ns + self._margin(found) <= self._now:
            return True
        self._look()
        return found.st_ctime_ns + self._margin(found) <= self._now

    def was_settled(self, found: os.stat_result, machine_ns: int) -> bool:
        """The same for a moment of `time.time_ns()` that is past: nothing was written to the file since."""
        return found.st_ctime_ns + self._margin(found) <= self._then(machine_ns)

    def since(self, machine_ns: int) -> int:
        """A moment of `time.time_ns()` on this clock, put back by the margin."""
        then = self._then(machine_ns)
        coarse = self._device is None or self._now % _SECOND == 0
        return then - (COARSE_NS if coarse else GRANULARITY_NS)

    def _then(self, machine_ns: int) -> int:
        """If the machine's clock was set back, as if that had been before the moment: a time too early makes
        files look younger than they are, never older."""
        self._look(again=True)
        set_back = min(0, time.time_ns() - time.monotonic_ns() - _OFFSET_NS)
        return machine_ns + set_back + self._now - time.time_ns()

    def _margin(self, found: os.stat_result) -> int:
        coarse = found.st_dev != self._device or found.st_ctime_ns % _SECOND == 0
        return COARSE_NS if coarse else GRANULARITY_NS

    def _look(self, again: bool = False) -> None:
        now = time.monotonic_ns()
        if self._now and not again and now - self._looked < _FRESH_NS:
            return
        self._looked = now
        self._device, self._now = None, time.time_ns()
        if self._folder is None:
            return
        path = f"{self._folder}/clock-{os.getpid()}"
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
            try:
                os.write(descriptor, b"\n")
                found = os.fstat(descriptor)
            finally:
                os.close(descriptor)
                os.unlink(path)  # noqa: PTH108
        except OSError:
            return
        self._device, self._now = found.st_dev, found.st_ctime_ns
