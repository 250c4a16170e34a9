"""Devices and pipes in a test's own folder: never those of the machine."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def null_device(path: Path) -> Path:
    """A node of its own that takes everything, as /dev/null does. Skips where none can be made."""
    try:
        os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
        path.write_bytes(b"it takes this")
    except OSError as error:
        pytest.skip(f"no device node can be made here: {error}")
    return path


def is_device(path: Path) -> bool:
    """Whether nothing took its place."""
    return stat.S_ISCHR(path.lstat().st_mode)


@contextmanager
def read_fifo(path: Path) -> Iterator[list[bytes]]:
    """A FIFO that somebody reads; what was read is in the list after the block."""
    os.mkfifo(path)
    found: list[bytes] = []
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    os.set_blocking(handle, True)

    def read() -> None:
        with os.fdopen(handle, "rb") as stream:
            found.append(stream.read())

    keep = os.open(path, os.O_WRONLY)  # the reader waits for its end, not for the first writer's
    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        os.close(keep)
        thread.join(10)
