"""Where a verb may write a file that the user names: over nothing that modelbuild has not written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from modelbuild.errors import ModelbuildError
from modelbuild.formats import nef, sealed


def check_place(place: Path, read: Sequence[Path], force: bool, is_ours: Callable[[bytes], bool]) -> None:
    """Raises where `place` is a folder, one of the files that are `read`, or, without `force`, a file that is
    neither empty nor `is_ours`."""
    if place.is_dir():
        raise ModelbuildError(f"{place.name} is a folder", where=f"-o {place}", advice="name a file")
    if not place.exists() and not place.is_symlink():
        return
    if any(path.exists() and path.samefile(place) for path in read if place.exists()):
        raise ModelbuildError(
            f"-o would overwrite the file that is read: {place.name}",
            where=str(place.parent),
            advice="name another file",
        )
    if not force and not _holds(place, is_ours):
        raise ModelbuildError(
            f"-o would overwrite a file that modelbuild has not written: {place.name}",
            where=str(place.parent),
            advice="name another file, or add --force to replace it",
        )


def is_simulated(data: bytes) -> bool:
    """Whether these are the bytes of a NEF for modelbuild's simulator."""
    return not nef.read(data).silicon


def is_simulated_or_sealed(data: bytes) -> bool:
    """Whether these are such a NEF, or a file that modelbuild has encrypted."""
    return sealed.is_sealed(data) or is_simulated(data)


def _holds(path: Path, is_ours: Callable[[bytes], bool]) -> bool:
    try:
        data = path.read_bytes()
        return not data or is_ours(data)
    except (ModelbuildError, OSError):
        return False
