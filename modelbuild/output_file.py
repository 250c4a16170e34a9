"""Where people may have a file written: nothing is lost there but what they name, and no build removes it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from modelbuild import whole_file
from modelbuild.errors import ModelbuildError

STATE, PRODUCTS = ".modelbuild", ("dist", "reports")
_ELSEWHERE = "name a file elsewhere"


def named(text: str, option: str = "-o") -> str:
    """The text as the name of a file. Raises for none at all, and for `-`, which elsewhere means standard
    output."""
    if not text.strip():
        raise ModelbuildError(f"{option} is empty", advice="name a file")
    if text == "-":
        raise ModelbuildError(
            f"{option} - names no file",
            why="what is written does not go to standard output",
            advice="write ./- for a file of that name",
        )
    return text


def check(path: Path, option: str = "-o") -> bool:
    """Whether a device or a pipe lies at `path`, which is then written into where it is, and never read.

    Raises ModelbuildError (exit 2) for a folder and for what cannot be written into, where there is no folder
    to write into, for the folders of builds, and for standard output, where the verbs' own text goes."""
    place = f"{option} {path}"
    try:
        if path.is_dir():
            raise ModelbuildError(f"{path.name or path} is a folder", where=place, advice="name a file in it")
        if not path.parent.is_dir():
            there = path.parent.exists()
            raise ModelbuildError(
                f"{path.parent} is no folder" if there else f"there is no folder {path.parent}",
                where=place,
                advice=_ELSEWHERE if there else "make it, or name another file",
            )
        mode = path.stat().st_mode if path.exists() else stat.S_IFREG
    except (OSError, ValueError) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise ModelbuildError(
            f"{option} cannot be written", where=str(path), why=why, advice=_ELSEWHERE
        ) from None
    check_folder(path, option)
    if stat.S_ISBLK(mode) or stat.S_ISSOCK(mode):
        what = "a disk" if stat.S_ISBLK(mode) else "a socket"
        raise ModelbuildError(
            f"{path.name} is {what}", where=place, why="no file is written there", advice="name a file"
        )
    if not whole_file.is_stream(path):
        return False
    if _is_standard_output(path):
        raise ModelbuildError(
            f"{option} names standard output",
            where=place,
            why="what is told of the file goes there, too, and would be mixed with it",
            advice="name a file",
        )
    return True


def _is_standard_output(path: Path) -> bool:
    """Not so for a device that keeps nothing, and where standard output is closed."""
    try:
        there, ours = path.stat(), os.fstat(1)
    except OSError:
        return False
    return os.path.samestat(there, ours) and not os.path.samestat(there, Path(os.devnull).stat())


def check_folder(path: Path, option: str = "-o", shown: Path | None = None) -> None:
    """Raises ModelbuildError where a build keeps what it made in a folder around `path`, which the message
    calls `shown` if that is given."""
    place = Path(os.path.realpath(path.parent)) / path.name
    for folder in place.parents:
        product = folder.parent.name in PRODUCTS and (folder.parent.parent / STATE).is_dir()
        if folder.name == STATE or product:
            inside = Path(STATE) if folder.name == STATE else Path(folder.parent.name) / folder.name
            raise ModelbuildError(
                f"{option} cannot write into {inside.as_posix()}",
                where=str(shown or path),
                why="builds make that folder hold exactly what belongs there",
                advice=_ELSEWHERE,
            )
