"""Every file operation of the builder's state: whole or not at all; and the seal that shows damage."""

from __future__ import annotations

import contextlib
import errno
import itertools
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from modelbuild.build import canonical
from modelbuild.build.interrupts import Shielded
from modelbuild.errors import EXIT_FAILED, ModelbuildError

Place = str | Path  # text where a build asks ten thousand times: pathlib takes longer than the system

_serial = itertools.count()
_IN_THE_WAY = (FileExistsError, NotADirectoryError, IsADirectoryError)
_SPACE = "free space on the disk that this is on, and run the command again: nothing half done is kept"
_RIGHTS = "give yourself the right to read and to write there, and try again"
_READ_ONLY = "make the file system writable, and try again"
_GONE = "see who removes it while modelbuild runs, and try again"
_OBSTACLE = "something else lies in its place: move that away, and run the command again"
_ADVICE = {
    errno.ENOSPC: _SPACE,
    errno.EDQUOT: _SPACE,
    errno.ENOENT: _GONE,
    errno.EROFS: _READ_ONLY,
    errno.EACCES: _RIGHTS,
    errno.EPERM: _RIGHTS,
    errno.EEXIST: _OBSTACLE,
    errno.ENOTDIR: _OBSTACLE,
    errno.EISDIR: _OBSTACLE,
    errno.EIO: "the disk or the way to it fails: see the system's log, and try again when it is mended",
}
_OF_THE_PLACE = {errno.EACCES, errno.EPERM, errno.EEXIST, errno.ENOTDIR, errno.EISDIR}  # whatever the disk
TROUBLES = {errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.ESTALE}  # the disk's, and of nobody's making


class Damaged(Exception):
    """A sealed file whose bytes are not those that were written."""


def advice(error: OSError) -> str:
    """What to do about a disk that refuses."""
    return _ADVICE.get(error.errno or 0, "see that the disk is there and in order, and run the command again")


def failure(doing: str, path: Place, error: OSError) -> ModelbuildError:
    """The message for a disk that refuses: names the file, and, where it is not about the place alone, the
    disk by where it is mounted."""
    why = str(error.strerror or error)
    if error.errno not in _OF_THE_PLACE and (mounted := _mounted_at(Path(path))):
        why += f" (the disk mounted at {mounted})"
    return ModelbuildError(f"cannot {doing} {path}", why=why, advice=advice(error), exit_code=EXIT_FAILED)


def refused(error: OSError, folder: Path = Path()) -> ModelbuildError:
    """The message for an error that names its file, or else concerns the folder."""
    return failure("use", Path(os.fsdecode(error.filename or folder)), error)


@contextlib.contextmanager
def told(folder: Path) -> Iterator[None]:
    """Turns an OSError that nobody expected into the message for a disk that refuses; a reader of our output
    who has gone is no disk."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise refused(error, folder) from error


def write(path: Path, data: bytes, scratch: Path, *, flushes: bool = True) -> None:
    """Replaces the whole file `path` at once; `scratch` is a folder of the same file system. What shows
    damage and only saves time need not wait for it. Raises ModelbuildError (exit 1) that names the file."""
    private = scratch / f"{os.getpid()}-{next(_serial)}.tmp"
    try:
        make_state_folder(scratch)
        with private.open("xb", buffering=0) as stream:  # a buffer would reach the disk after the fsync
            view = memoryview(data)
            while view:
                view = view[stream.write(view) :]
            if flushes:
                flush(stream.fileno())
        move(private, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            private.unlink()
        raise failure("write", path, error) from error


def move(source: Place, destination: Place) -> None:
    """Renames over `destination` in the state, making its folder; what is in the way is set aside.

    Raises OSError.
    """
    try:
        os.replace(source, destination)  # noqa: PTH105
    except (FileNotFoundError, *_IN_THE_WAY):
        place = Path(destination)
        if is_folder(place):
            set_aside(place)
        make_state_folder(place.parent)
        os.replace(source, destination)  # noqa: PTH105


def exchange(one: Path, other: Path) -> bool:
    """Lets two paths change places in one step, where the system can; False, and nothing done, elsewhere.

    Raises OSError.
    """
    import ctypes  # only where a product changes

    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)  # Linux 3.15, glibc 2.28
    if rename is None:
        return False
    here, both = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    if rename(here, os.fsencode(one), here, os.fsencode(other), both) == 0:
        return True
    number = ctypes.get_errno()
    if number in (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP):
        return False
    raise OSError(number, os.strerror(number), str(one))


def put_folder(new: Path, destination: Path, old: Path) -> None:
    """Puts the folder `new` where `destination` is or is to be, in one step where the system can exchange two
    names: what was there is `new` then. Elsewhere that goes by way of `old`: if killed in between,
    `destination` is absent, never mixed. Raises OSError, or ModelbuildError if `old` cannot be removed."""
    if not is_folder(destination):
        new.replace(destination)
    elif not exchange(new, destination):
        destination.replace(old)
        try:
            new.replace(destination)
        except OSError:
            old.replace(destination)
            raise
        remove(old)


def flush(descriptor: int) -> None:
    """Waits until the file's bytes are on the disk. Raises OSError."""
    os.fsync(descriptor)


def flush_folder(path: Path) -> None:
    """Waits until the folder's names are on the disk. Raises OSError."""
    flush_file(path)


def flush_file(path: Place) -> None:
    """Waits until the bytes of a file that is closed are on the disk. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(path: Path) -> None:
    """Makes `path` and its parents where absent. Raises OSError."""
    path.mkdir(parents=True, exist_ok=True)


def make_state_folder(path: Path) -> None:
    """As `make_folder`, inside the state: a file that lies in the way is set aside. Raises OSError."""
    try:
        make_folder(path)
    except _IN_THE_WAY:
        obstacle = next(folder for folder in (path, *path.parents) if os.path.lexists(folder))
        set_aside(obstacle)
        make_folder(path)


def is_folder(path: Path) -> bool:
    """Whether a folder is there, itself and not by a link. Raises OSError where the disk does not tell."""
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def names(folder: Path) -> list[str]:
    """What lies in a folder, sorted; nothing if there is no such folder. Raises OSError, unlike a glob, where
    the disk does not tell: who decides what may go must not take that for nothing."""
    try:
        return sorted(os.listdir(folder))  # noqa: PTH208 - names are wanted
    except (FileNotFoundError, NotADirectoryError):
        return []


def read(path: Place) -> bytes | None:
    """The file's bytes; None if nothing is there, and no byte if it is no regular file.

    Raises ModelbuildError (exit 1) if it is unreadable.
    """
    try:
        # Without O_NONBLOCK a fifo in the place of the file would hang the build.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_NONBLOCK", 0))
        with os.fdopen(descriptor, "rb") as stream:
            return stream.read() if stat.S_ISREG(os.fstat(descriptor).st_mode) else b""
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        if error.errno in (errno.EISDIR, errno.ELOOP, errno.ENXIO):  # a folder, a ring of links, a socket
            return b""
        raise failure("read", path, error) from error


def set_aside(path: Path) -> None:
    """Renames what is damaged to `*.bad`, where a later one replaces it; on a read-only disk it stays."""
    bad = path.with_name(path.name + ".bad")
    with contextlib.suppress(OSError, ModelbuildError):
        try:
            path.replace(bad)
        except FileNotFoundError:
            return
        except OSError:  # an older one is in the way
            remove(bad)
            path.replace(bad)


def remove_tree(path: Path) -> None:
    """Removes a folder and all in it, as far as the disk lets it; stages may have left odd modes."""
    shutil = tree_remover()
    with contextlib.suppress(OSError):  # ignore_errors does not ignore all
        shutil.rmtree(path, ignore_errors=True)
        if is_folder(path):
            path.chmod(stat.S_IRWXU)
            for folder, subfolders, _ in os.walk(path):
                for name in subfolders:
                    Path(folder, name).chmod(stat.S_IRWXU)
            shutil.rmtree(path, ignore_errors=True)


def tree_remover() -> ModuleType:
    """The module that removes trees, which takes longer to import than to use. An interrupt that broke into
    the import could leave Python's own lock on it, and what tidies up afterwards would wait for ever."""
    with Shielded():
        import shutil
    return shutil


def remove(path: Path) -> None:
    """Removes a file or a folder. Raises ModelbuildError (exit 1)."""
    try:
        if is_folder(path):
            remove_tree(path)
            if is_folder(path):
                path.rmdir()  # says why it is still there
        else:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise failure("remove", path, error) from error


def seal(value: Any) -> bytes:
    """Canonical JSON after a line with its own digest."""
    return seal_body(canonical.encode(value))


def seal_body(body: bytes) -> bytes:
    """As `seal`, of a value whose canonical JSON is there already."""
    return canonical.sha256(body).encode("ascii") + b"\n" + body + b"\n"


def unseal(data: bytes) -> Any:
    """The inverse of `seal`. Raises Damaged."""
    digest, _, rest = data.partition(b"\n")
    body = rest[:-1]
    if rest[-1:] != b"\n" or canonical.sha256(body).encode("ascii") != digest:
        raise Damaged
    return json.loads(body)


def sealed_line(value: Any) -> bytes:
    """Canonical JSON on a line, after the beginning of its own digest: for files that are added to."""
    body = canonical.encode(value)
    return _short_seal(body) + b" " + body + b"\n"


def unsealed_line(line: bytes) -> Any:
    """The inverse of `sealed_line`, which may lack its line end. Raises Damaged."""
    digest, _, body = line.removesuffix(b"\n").partition(b" ")
    if _short_seal(body) != digest:
        raise Damaged
    return json.loads(body)


def _short_seal(body: bytes) -> bytes:
    return canonical.sha256(body)[:16].encode("ascii")


def _mounted_at(path: Path) -> Path | None:
    """The mount point of the file system that the path lies in, or would; None where nobody can say."""
    with contextlib.suppress(OSError):  # as for a relative path where the current folder is gone
        path = Path(os.path.realpath(path))
        return next((one for one in (path, *path.parents) if os.path.ismount(one)), Path(path.anchor))
    return None
