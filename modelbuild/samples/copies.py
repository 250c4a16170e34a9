"""Files of one list that are in another, by path or by what they hold."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Iterable
from pathlib import Path

HEAD = 4096  # bytes that are read of files of one size, before whole ones are


def in_both(first: Iterable[Path], second: Iterable[Path]) -> set[Path]:
    """Those of `first` that `second` has, under whatever name. Few files are read, and fewer as a whole: what
    differs in size, or at its beginning, is no copy. A file that cannot be read is a copy of none."""
    ours, theirs = set(first), set(second)
    shared, left = ours & theirs, ours - theirs
    for trait in (_size, _head, _digest):
        found = {path: value for path in left if (value := _of(trait, path)) is not None}
        others = {path: value for path in theirs if (value := _of(trait, path)) is not None}
        both = set(found.values()) & set(others.values())
        left = {path for path, value in found.items() if value in both}
        theirs = {path for path, value in others.items() if value in both}
    return shared | left


def _of(trait: Callable[[Path], Hashable], path: Path) -> Hashable:
    try:
        return trait(path)
    except OSError:
        return None


def _size(path: Path) -> Hashable:
    return path.stat().st_size or None  # files that are empty are no samples


def _head(path: Path) -> Hashable:
    with path.open("rb") as file:
        return path.stat().st_size, file.read(HEAD)


def _digest(path: Path) -> Hashable:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
