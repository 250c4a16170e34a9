"""The end of the program: at once, where nobody waits for the interpreter to be taken apart."""

from __future__ import annotations

import atexit
import os
import sys

_kept: list[object] = []


def keep(*values: object) -> None:
    """Lets what is large last until the program ends: to take ten thousand rows apart takes longer than to
    leave them."""
    _kept.extend(values)


def release() -> None:
    """For a caller that goes on: nothing is kept any more."""
    _kept.clear()


def leave(code: int) -> None:
    """Ends the process. Returns only where the interpreter has to end it in its own way: because something
    asked to be called then, another thread runs, the run is being measured, or a stream takes no more."""
    threads = sys.modules.get("threading")
    asked = getattr(atexit, "_ncallbacks", None)  # CPython's own, and not promised
    if asked is None or asked() or (threads is not None and threads.active_count() > 1) or _is_measured():
        return
    try:
        for stream in filter(None, (sys.stdout, sys.stderr)):
            stream.flush()
    except (OSError, ValueError):
        return
    os._exit(code)


def _is_measured() -> bool:
    """Whether a profiler or a debugger will say what it saw, by whichever way it looks on."""
    monitoring = getattr(sys, "monitoring", None)  # Python 3.12
    by_event = monitoring is not None and any(monitoring.get_tool(number) for number in range(6))
    return bool(by_event or sys.getprofile() or sys.gettrace() or sys.flags.inspect)
