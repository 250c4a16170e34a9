"""Files that people asked for by name: complete or untouched. Devices and pipes are written into."""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from modelbuild.errors import ModelbuildError

_OPEN_FILES = re.compile(r"/dev|/proc/[0-9]+/(task/[0-9]+/)?fd")  # whose names stand for what is open
_INTO = os.O_WRONLY | os.O_APPEND
_AT_ONCE = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_CLOEXEC", 0)


def write(path: Path, data: bytes) -> None:
    """The whole file or none of it; into a device or a pipe as `replacing`. Raises ModelbuildError where the
    folder or the disk refuses."""
    try:
        with replacing(path) as private:
            private.write_bytes(data)
    except OSError as error:
        raise ModelbuildError(
            "cannot be written",
            where=str(path),
            why=error.strerror or str(error),
            advice="mend what is said, or name another file",
        ) from None


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A place for a file, which takes that of `path` at once when the block ends well, and is removed when it
    does not. Nothing takes the place of a device or a pipe: what was made is written into it then. Raises
    OSError."""
    if is_stream(path):
        with _in_scratch(path) as private:
            yield private
        return
    private = beside(path)
    try:
        yield private
        private.replace(path)
    finally:
        with suppress(OSError):  # what could not be written need not be removed
            private.unlink(missing_ok=True)


def is_stream(path: Path) -> bool:
    """Whether a device, a pipe or a socket lies there, or a name such as /dev/stdout, which stands for a file
    that is open: all that no file may take the place of."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return False
    if stat.S_ISREG(mode):
        return _OPEN_FILES.fullmatch(os.path.realpath(path.parent)) is not None
    return not stat.S_ISDIR(mode)


@contextmanager
def _in_scratch(path: Path) -> Iterator[Path]:
    """A file that is copied into the stream `path` when the block ends well. Raises OSError, also for disks,
    and where nobody reads from a pipe: that is not waited for."""
    import shutil
    import tempfile

    _check(path)
    with tempfile.TemporaryDirectory(prefix="modelbuild-") as folder:
        private = Path(folder) / path.name
        yield private
        _check(path)
        handle = os.open(path, _INTO | _AT_ONCE)
        os.set_blocking(handle, True)
        with os.fdopen(handle, "wb") as stream, private.open("rb") as made:
            shutil.copyfileobj(made, stream)


def _check(path: Path) -> None:
    mode = path.stat().st_mode
    if stat.S_ISBLK(mode) or stat.S_ISSOCK(mode):
        what = "a disk" if stat.S_ISBLK(mode) else "a socket"
        raise OSError(errno.EINVAL, f"{what} lies there, and no file is written into it")


def beside(path: Path) -> Path:
    """A name in the same folder that no other process takes."""
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")
