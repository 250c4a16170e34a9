"""Gives freed memory back to the system: glibc keeps most of it, and what comes next stands upon it."""

from __future__ import annotations

from contextlib import suppress


def give_back() -> None:
    """Gives back what this process has freed; nothing where the C library has no malloc_trim."""
    from ctypes import CDLL  # not at once: most that load this module never need it

    with suppress(OSError, AttributeError):
        CDLL(None).malloc_trim(0)
