"""Files that people name to be read: regular ones only, opened so that nothing waits, read within a limit."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from modelbuild.errors import ModelbuildError

MAX_BYTES = 2 << 30  # of a file that is read whole; offsets in a FlatBuffer do not reach further
_PIECE = 1 << 20
_MORE = 1 << 16  # bytes at a time beyond the size that a file tells
_FLAGS = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def named(folder: str | Path, name: str) -> Path:
    """The file that someone names, in the working folder. Raises for no name at all, which would be that
    folder."""
    if not name.strip():
        raise ModelbuildError("a FILE is empty", why="it was given without a name", advice="name a file")
    return Path(folder) / name


@contextmanager
def opened(path: str | Path) -> Iterator[BinaryIO]:
    """The file, open for reading in binary. What the name leads to is judged before it is opened and after,
    so that nobody can put something else in its place; nothing waits for a FIFO's writer.

    Raises ModelbuildError naming the file where it cannot be read, and for folders, FIFOs, sockets and
    devices; OSErrors of the block itself pass.
    """
    handle = _handle(Path(path))
    with os.fdopen(handle, "rb") as file:
        yield file


def read(path: str | Path, limit: int = MAX_BYTES) -> bytes:
    """The bytes of the file. Raises as `opened` does, and for more than `limit` bytes: these are not read."""
    path = Path(path)
    with opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > limit:
            raise _too_large(path, f"it has {size} bytes", limit)
        try:
            parts = [file.read(size)]
            while sum(map(len, parts)) <= limit and (part := file.read(_MORE)):  # it grows, or has no size
                parts.append(part)
        except OSError as error:
            raise _unreadable(path, error) from None
    data = b"".join(parts)
    if len(data) > limit:
        raise _too_large(path, "it goes on", limit)
    return data


class FileBytes:
    """The bytes of an open file, read slice by slice as they are asked for: they need not fit into memory."""

    def __init__(self, path: Path, file: BinaryIO, size: int) -> None:
        self._path, self._file, self._size = path, file, size

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, place: slice) -> bytes:
        start, end, _ = place.indices(self._size)
        try:
            self._file.seek(start)
            piece = self._file.read(max(end - start, 0))
        except OSError as error:
            raise _unreadable(self._path, error) from None
        if len(piece) < end - start:
            raise ModelbuildError(
                f"{self._path.name} became shorter while it was read",
                where=str(self._path),
                advice="read it again when nobody writes it",
            )
        return piece

    def pieces(self, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """The bytes from `start` to `end` one piece after the other."""
        end = self._size if end is None else end
        for place in range(start, end, _PIECE):
            yield self[place : min(place + _PIECE, end)]


@contextmanager
def sliced(path: str | Path, limit: int = MAX_BYTES) -> Iterator[FileBytes]:
    """The file as bytes that are read as they are asked for. Raises as `read` does."""
    path = Path(path)
    with opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > limit:
            raise _too_large(path, f"it has {size} bytes", limit)
        yield FileBytes(path, file, size)


@contextmanager
def naming(*names: str) -> Iterator[None]:
    """Errors of the block name the file: the first of its `names` is put before their places, unless that
    begins with one of these, whose place it then takes."""
    try:
        yield
    except ModelbuildError as error:
        problems = (problem._replace(where=_placed(problem.where, names)) for problem in error.problems)
        raise ModelbuildError.of(problems, error.exit_code) from None


def _placed(where: str, names: Sequence[str]) -> str:
    for name in names:
        if where == name or where.startswith(f"{name}: "):
            return names[0] + where[len(name) :]
    return f"{names[0]}: {where}" if where else names[0]


def _handle(path: Path) -> int:
    try:
        _check(
            path, path.stat().st_mode
        )  # before it is opened: a writer that waits at a FIFO goes on waiting
        handle = os.open(path, _FLAGS)
    except (OSError, ValueError) as error:  # a zero byte in the name is a ValueError
        raise _unreadable(path, error) from None
    try:
        _check(path, os.fstat(handle).st_mode)  # and what was opened, whatever has its name by now
    except ModelbuildError:
        os.close(handle)
        raise
    return handle


def _check(path: Path, mode: int) -> None:
    if not stat.S_ISREG(mode):
        what = _kind(mode)
        why = "" if what.startswith("not") else "only regular files are read"
        raise ModelbuildError(
            f"{path.name or path} is {what}", where=str(path), why=why, advice="name a file"
        )


def _kind(mode: int) -> str:
    return next((what for test, what in _KINDS if test(mode)), "not a regular file")


def lacking(path: Path) -> str:
    """Why there is no regular file, "it is a FIFO" for instance; empty where there is one."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return "it is a link to what is not there" if path.is_symlink() else "it is not there"
    except (OSError, ValueError) as error:
        return (error.strerror if isinstance(error, OSError) else None) or str(error)
    return "" if stat.S_ISREG(mode) else f"it is {_kind(mode)}"


def _unreadable(path: Path, error: OSError | ValueError) -> ModelbuildError:
    why = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return ModelbuildError(
        f"{path.name or path} cannot be read",
        where=str(path),
        why=why,
        advice="name a file that you may read",
    )


def _too_large(path: Path, has: str, limit: int) -> ModelbuildError:
    return ModelbuildError(
        f"{path.name} is too large to be read",
        where=str(path),
        why=f"{has}, and {limit} are the limit",
        advice="name another file",
    )
