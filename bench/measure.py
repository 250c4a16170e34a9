"""Runs commands in fresh processes: wall and processor seconds and peak memory of each."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

# A process counts the memory of the one that started it until it executes its program. So that a peer of 5 MB
# is not charged with the bench, a bare interpreter starts it; less than its own 9 MB cannot be told.
_LAUNCHER = """
import os, sys, time
began = time.perf_counter()
pid = os.posix_spawnp(sys.argv[2], sys.argv[2:], os.environ, file_actions=[
    (os.POSIX_SPAWN_OPEN, 1, sys.argv[1], os.O_WRONLY | os.O_CREAT, 0o600), (os.POSIX_SPAWN_DUP2, 1, 2)])
_, status, used = os.wait4(pid, 0)
processor = used.ru_utime + used.ru_stime
print(time.perf_counter() - began, used.ru_maxrss, processor, os.waitstatus_to_exitcode(status))
"""


@dataclass(frozen=True)
class Run:
    """One run of a command; `processor` are the seconds that it computed."""

    seconds: float
    peak_mb: float
    processor: float = 0.0


@dataclass(frozen=True)
class Command:
    """What to run, and where. `environment` is laid over the bench's own."""

    words: Sequence[str]
    folder: Path
    environment: Mapping[str, str]


def run(command: Command) -> Run:
    """Runs it once. Raises RuntimeError, with what it printed, where it fails."""
    with tempfile.TemporaryDirectory() as folder:
        printed = Path(folder, "printed")
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", _LAUNCHER, printed, *command.words],
            cwd=command.folder,
            env={**os.environ, **command.environment},
            capture_output=True,
            text=True,
            check=True,
        )
        seconds, kilobytes, processor, code = done.stdout.split()
        if int(code):
            text = printed.read_text(encoding="utf-8", errors="replace")[-4000:]
            raise RuntimeError(f"{' '.join(command.words)} ended with {code}:\n{text}")
    return Run(float(seconds), int(kilobytes) / 1024, float(processor))


def middle(runs: Sequence[Run]) -> Run:
    """The median of the times, and the largest peak."""
    return Run(median(run.seconds for run in runs), max(run.peak_mb for run in runs))


def interleaved(
    commands: Mapping[str, Callable[[int], Run]], runs: Mapping[str, int], warm_up: int = 1
) -> dict[str, list[Run]]:
    """Runs every command in turn, so that a noisy minute falls on all of them; the first rounds do not count.

    Each is called with the number of the round, and only as often as `runs` says."""
    found: dict[str, list[Run]] = {name: [] for name in commands}
    for number in range(max(runs.values(), default=0) + warm_up):
        for name, command in commands.items():
            if number < runs[name] + warm_up:
                done = command(number)
                if number >= warm_up:
                    found[name].append(done)
    return found


def spread(runs: Sequence[Run]) -> str:
    """The fastest and the slowest, in ms: how noisy the machine was."""
    times = sorted(run.seconds * 1000 for run in runs)
    return f"{times[0]:.0f}..{times[-1]:.0f}"
