"""The machine and the versions that a table was made with."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Sequence
from pathlib import Path

from modelbuild import __version__


def describe() -> list[str]:
    """Lines for people: processor, cores, memory, system, Python, and how busy it was before the bench."""
    return [
        f"{_field('/proc/cpuinfo', 'model name')}, {len(os.sched_getaffinity(0))} cores for the bench, "
        f"{_memory()} of memory",
        f"{_field('/etc/os-release', 'PRETTY_NAME', '=').strip(chr(34))}, kernel {platform.release()}, "
        f"{platform.python_implementation()} {platform.python_version()}, modelbuild {__version__}",
        f"load before the bench: {os.getloadavg()[0]:.1f}",
    ]


def version(words: Sequence[str]) -> str:
    """The first line of what a `--version` prints; empty where the command is not there."""
    try:
        done = subprocess.run(list(words), capture_output=True, text=True, check=False, timeout=60)
    except OSError:
        return ""
    lines = (done.stdout or done.stderr).strip().splitlines()
    return lines[0] if lines else ""


def _field(path: str, name: str, separator: str = ":") -> str:
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return f"unknown {name}"
    found = (
        line.partition(separator)[2].strip() for line in lines if line.split(separator)[0].strip() == name
    )
    return next(found, f"unknown {name}")


def _memory() -> str:
    return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB"
