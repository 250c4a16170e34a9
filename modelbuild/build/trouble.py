"""Which failures of a stage are the machine's and may pass, and what is said of each."""

from __future__ import annotations

import errno
import os
import traceback
from pathlib import Path

from modelbuild.build import disk
from modelbuild.errors import EXIT_FAILED, ModelbuildError

# Rights are in no digest: what may not be read today has the same key when it may.
DISK = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EACCES, errno.EPERM}
# Troubles of the machine, not of the inputs: the same action may succeed next time.
PASSING = DISK | {errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.EINTR}
LITTLE = 1 << 20  # bytes left on a disk whose filling up may be why a library failed without saying so


def verdict(error: BaseException, action: str, folder: Path) -> tuple[ModelbuildError, bool]:
    """What is told of an exception of a stage, and whether it is a verdict on the inputs, to be remembered.

    `folder` is the private one, which also tells whether the disk is full.
    """
    full = _free(folder) < LITTLE
    if isinstance(error, ModelbuildError):
        return error, not (full or is_passing(error))
    if full or _errnos(error) & DISK:
        number = errno.ENOSPC if full else min(_errnos(error) & DISK)
        return _disk_failed(action, folder, _one_line(error), number), False
    if is_passing(error):
        return ModelbuildError(
            f"the machine failed {action}", why=_one_line(error), exit_code=EXIT_FAILED
        ), False
    return ModelbuildError(
        f"internal error in {action}",
        why=_one_line(error),
        advice="run again with --debug to see where; please report it",
        exit_code=EXIT_FAILED,
    ), False


def refuse_full_disk(folder: Path) -> None:
    """Raises OSError where nothing more can be written: a library may have written half and not said so."""
    if not _free(folder):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))


def is_passing(error: BaseException) -> bool:
    """Whether a trouble of the machine or of the network stands anywhere in the chain of causes."""
    return bool(_errnos(error) & PASSING) or any(
        isinstance(one, MemoryError) or (isinstance(one, ModelbuildError) and one.passing)
        for one in _chain(error)
    )


def _disk_failed(action: str, folder: Path, why: str, number: int) -> ModelbuildError:
    return ModelbuildError(
        f"the disk failed {action}",
        where=str(folder.parent.parent),  # `work`, which stays, unlike the action's own
        why=why,
        advice=disk.advice(OSError(number, "")),
        exit_code=EXIT_FAILED,
    )


def _free(folder: Path) -> int:
    try:
        found = os.statvfs(folder)
    except OSError:
        return LITTLE  # nothing is known
    # a file system that counts no blocks, as some network ones, is never full
    return found.f_bavail * found.f_frsize if found.f_blocks else LITTLE


def _chain(error: BaseException | None) -> list[BaseException]:
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__ or error.__context__
    return found


def _errnos(error: BaseException) -> set[int]:
    return {one.errno for one in _chain(error) if isinstance(one, OSError) and one.errno is not None}


def _one_line(error: BaseException) -> str:
    return " ".join(traceback.format_exception_only(error)).strip().replace("\n", " ")
