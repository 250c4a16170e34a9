"""How many actions may run side by side."""

from __future__ import annotations

import os


def processors() -> int:
    """The processors that this process may use: of those of the machine, the ones its affinity allows."""
    if hasattr(os, "sched_getaffinity"):  # Linux and some BSDs
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
