"""Files of the state that are added to: four calls to the system where nothing is in the way."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from modelbuild.build import disk

_TO_APPEND = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
_NOT_THERE = {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENXIO, errno.ELOOP, errno.EEXIST}


def append(path: Path, data: bytes) -> None:
    """Adds `data` to the file; part of it may be there if this fails. Raises ModelbuildError (exit 1)."""
    try:
        try:
            descriptor = _open_to_append(path)
        except OSError as error:
            if error.errno not in _NOT_THERE:
                raise
            if os.path.lexists(path) and not path.is_file():
                disk.set_aside(path)
            disk.make_state_folder(path.parent)
            descriptor = os.open(path, _TO_APPEND, 0o666)
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(descriptor, view) :]
        finally:
            os.close(descriptor)
    except OSError as error:
        raise disk.failure("write", path, error) from error


def _open_to_append(path: Path) -> int:
    """A regular file, and no link; without O_NONBLOCK a fifo would hang the build."""
    guarded = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0)
    descriptor = os.open(path, _TO_APPEND | guarded, 0o666)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
    return descriptor
