"""How much memory a build may take: what is said, what the machine has, and what a container leaves of it."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path, PurePosixPath

from modelbuild.errors import ModelbuildError

SHARE = 0.8  # of what is available: the rest is for the builder, the page cache and the user
_UNITS = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}
_SIZE = r"(\d{1,15}(?:\.\d{1,9})?)\s*([kmgt]?)(?:i?b)?"


def parse_bytes(text: str) -> int:
    """`4G`, `512 MiB`, `1.5g` or `1000000` in bytes; K, M, G and T are powers of 1024.

    Raises ModelbuildError (exit 2).
    """
    found = re.fullmatch(_SIZE, text.strip(), re.IGNORECASE | re.ASCII)
    if found is None or not (number := int(float(found[1]) * _UNITS[found[2].lower()])):
        raise ModelbuildError(
            f"{text!r} is no amount of memory", advice="write a number with K, M, G or T, such as 4G"
        )
    return number


def readable(number: int) -> str:
    """Bytes as people read them: `1.5 GiB`."""
    for unit, size in (("GiB", 2**30), ("MiB", 2**20)):
        if number >= size:
            return f"{number / size:.1f} {unit}"
    return f"{number / 2**10:.0f} KiB"


def usable() -> int | None:
    """The bytes that a build takes at most unless it is told: a share of what is available now, and of what
    the control group may still take. None where the system does not say."""
    found = [left for left in (_available(), _left_in_group(Path("/"))) if left is not None]
    return int(SHARE * min(found)) if found else None


def _available() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_bytes().splitlines()
    except OSError:
        with suppress(ValueError, OSError):
            return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        return None
    found = [int(line.split()[1]) * 1024 for line in lines if line.startswith(b"MemAvailable:")]
    return found[0] if found else None


def _left_in_group(root: Path) -> int | None:
    """What the control groups of this process, and those around it, may still take: the least.

    `root` is the folder that has `proc` and `sys`.
    """
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return None
    left: list[int] = []
    for line in lines:
        number, controllers, path = line.split(":", 2)
        if number == "0":
            mounted, names = root / "sys/fs/cgroup", _SECOND
        elif "memory" in controllers.split(","):
            mounted, names = root / "sys/fs/cgroup/memory", _FIRST
        else:
            continue
        group = PurePosixPath(path.lstrip("/"))
        # a container may be shown the host's path, of which it has only the end or nothing
        for one in (group, *group.parents):
            with suppress(OSError, ValueError):
                left.append(_left(mounted / one, *names))
    return min(left, default=None)


_FIRST = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")  # cgroup version 1
_SECOND = ("memory.max", "memory.current", "inactive_file")  # version 2, whose "max" is no number


def _left(group: Path, limit: str, usage: str, reclaimable: str) -> int:
    """Raises OSError for a group that is not there, ValueError for one without a limit."""
    rows = dict(line.split(" ", 1) for line in (group / "memory.stat").read_text().splitlines())
    used = int((group / usage).read_text()) - int(rows.get(reclaimable, 0))
    return max(0, int((group / limit).read_text()) - used)
