"""Every write of the builder's state: private file, fsync, rename; and the seal that shows damage."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import stat
from pathlib import Path
from typing import Any

from modelbuild.build import canonical
from modelbuild.errors import EXIT_FAILED, ModelbuildError

_serial = itertools.count()


class Damaged(Exception):
    """A sealed file whose bytes are not those that were written."""


def failure(doing: str, path: Path, error: OSError) -> ModelbuildError:
    """The message for a disk that refuses."""
    return ModelbuildError(
        f"cannot {doing} {path}",
        why=error.strerror or str(error),
        advice="free space or make the folder writable, and build again: nothing half done is kept",
        exit_code=EXIT_FAILED,
    )


def write(path: Path, data: bytes, scratch: Path) -> None:
    """Replaces the whole file `path` at once; `scratch` is a folder of the same file system.

    Raises ModelbuildError (exit 1) that names the file.
    """
    private = scratch / f"{os.getpid()}-{next(_serial)}.tmp"
    try:
        make_folder(scratch)
        with private.open("xb") as stream:
            stream.write(data)
            flush(stream.fileno())
        move(private, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            private.unlink()
        raise failure("write", path, error) from error


def append(path: Path, data: bytes) -> None:
    """Adds `data` to the file; part of it may be there if this fails. Raises ModelbuildError (exit 1)."""
    try:
        make_folder(path.parent)
        with path.open("ab") as stream:
            stream.write(data)
    except OSError as error:
        raise failure("write", path, error) from error


def move(source: Path, destination: Path) -> None:
    """Renames over `destination`, making its folder. Raises OSError."""
    try:
        source.replace(destination)
    except FileNotFoundError:
        make_folder(destination.parent)
        source.replace(destination)


def flush(descriptor: int) -> None:
    """Waits until the file's bytes are on the disk. Raises OSError."""
    os.fsync(descriptor)


def make_folder(path: Path) -> None:
    """Makes `path` and its parents where absent. Raises OSError."""
    path.mkdir(parents=True, exist_ok=True)


def read(path: Path) -> bytes | None:
    """The file's bytes, or None if there is no such file. Raises ModelbuildError (exit 1) if unreadable."""
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise failure("read", path, error) from error


def set_aside(path: Path) -> None:
    """Renames a damaged file to `*.bad`, where a later one replaces it; on a read-only disk it stays."""
    with contextlib.suppress(OSError):
        path.replace(path.with_name(path.name + ".bad"))


def remove_tree(path: Path) -> None:
    """Removes a folder and all in it, as far as the disk lets it; stages may have left odd modes."""
    import shutil

    shutil.rmtree(path, ignore_errors=True)
    if path.is_dir():
        with contextlib.suppress(OSError):
            path.chmod(stat.S_IRWXU)
            for folder, subfolders, _ in os.walk(path):
                for name in subfolders:
                    Path(folder, name).chmod(stat.S_IRWXU)
        shutil.rmtree(path, ignore_errors=True)


def remove(path: Path) -> None:
    """Removes a file or a folder. Raises ModelbuildError (exit 1)."""
    try:
        if path.is_dir() and not path.is_symlink():
            remove_tree(path)
            if path.is_dir():
                path.rmdir()  # says why it is still there
        else:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise failure("remove", path, error) from error


def seal(value: Any) -> bytes:
    """Canonical JSON after a line with its own digest."""
    body = canonical.encode(value)
    return canonical.sha256(body).encode("ascii") + b"\n" + body + b"\n"


def unseal(data: bytes) -> Any:
    """The inverse of `seal`. Raises Damaged."""
    digest, _, rest = data.partition(b"\n")
    body = rest[:-1]
    if rest[-1:] != b"\n" or canonical.sha256(body).encode("ascii") != digest:
        raise Damaged
    return json.loads(body)
