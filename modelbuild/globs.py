"""Which paths match a glob, and which folders decide that: as `glob.glob`, but linked folders that lead round
are gone down once."""

from __future__ import annotations

import fnmatch
import glob
import os
import posixpath
import re
from collections.abc import Callable, Iterable, Iterator

Match = Callable[[str], object]


def matches(pattern: str, root: str) -> list[str]:
    """What matches `pattern`, which starts at `root` if it is relative; the paths start there, too.

    `*`, `?` and `[…]` stand for characters of a name and `**`, alone, for any folders; names that begin with
    a dot are matched only by a part that begins with one. No order is promised. Raises ValueError for a
    pattern that cannot be one."""
    return _follow(pattern, root, [])


def folders(pattern: str, root: str) -> list[str]:
    """The folders, with `root` before them, whose entries decide what `matches` finds: from the first part
    that is no fixed name on, those that are looked into. None where nothing is at the fixed part."""
    looked_into: list[str] = []
    _follow(pattern, root, looked_into)
    paths = (os.path.join(root, folder) if folder else root for folder in dict.fromkeys(looked_into))  # noqa: PTH118
    return [path for path in paths if os.path.isdir(path)]  # noqa: PTH112


def fixed_folder(pattern: str) -> str:
    """The folder that all matches of a glob lie in or below; of a path without a glob, its own."""
    parts: list[str] = []
    for part in posixpath.normpath(pattern).split("/"):
        if glob.has_magic(part):
            return "/".join(parts) or ("/" if parts else ".")
        parts.append(part)
    return "/".join(parts)


def _follow(pattern: str, root: str, looked_into: list[str]) -> list[str]:
    """The matches. Folders whose entries are not of fixed names are added to `looked_into`, and those in
    which a fixed name is looked for after that."""
    current = ["/" if pattern.startswith("/") else ""]
    parts = [part for part in pattern.split("/") if part]
    varied = False
    for index, part in enumerate(parts):
        is_last = index == len(parts) - 1
        if part == "**":
            current = list(dict.fromkeys(below for folder in current for below in _below(root, folder)))
        varied = varied or glob.has_magic(part)
        if varied:
            looked_into += current
        if part == "**":
            found: Iterable[str] = _inside(root, current, _shown, folders_only=False) if is_last else current
        elif glob.has_magic(part):
            found = _inside(root, current, _matcher(part), folders_only=not is_last)
        else:
            joined = (os.path.join(folder, part) for folder in current)  # noqa: PTH118
            found = (path for path in joined if os.path.lexists(os.path.join(root, path)))  # noqa: PTH118
        current = list(dict.fromkeys(found))
    return current


def _matcher(part: str) -> Match:
    match = re.compile(fnmatch.translate(part)).match
    hidden = part.startswith(".")
    return lambda name: (hidden or _shown(name)) and match(name)


def _shown(name: str) -> bool:
    return not name.startswith(".")


def _inside(root: str, folders: Iterable[str], match: Match, folders_only: bool) -> Iterator[str]:
    """The entries of folders whose names match; what is no folder, or cannot be read, has none."""
    for folder in folders:
        try:
            with os.scandir(os.path.join(root, folder) or ".") as entries:  # noqa: PTH118
                listed = [entry for entry in entries if match(entry.name)]
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            continue
        for entry in listed:
            if not folders_only or entry.is_dir():
                yield os.path.join(folder, entry.name)  # noqa: PTH118


def _below(root: str, folder: str) -> Iterator[str]:
    """The folder and all folders below it, those nearest first; each once, by whatever way it is reached."""
    seen: set[str] = set()
    waiting = [folder]
    while waiting:
        level, waiting = waiting, []
        for path in sorted(level):
            real = os.path.realpath(os.path.join(root, path))  # noqa: PTH118
            if real not in seen and os.path.isdir(real):  # noqa: PTH112
                seen.add(real)
                yield path
                waiting += _inside(root, [path], _shown, folders_only=True)
