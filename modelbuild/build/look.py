"""What a path looks like, as one digest: a file's bytes or head, a folder's names, or only what is there."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable
from pathlib import Path

from modelbuild.build import canonical

FILE = "f"  # all of the bytes
HEAD = "h"  # the first bytes, by which a stand-in for a file is told from the file
FOLDER = "d"  # names and kinds of what lies in a folder
INSTALLED = "i"  # the names in a folder that say which library is installed
KIND = "k"  # whether a file, a folder or nothing is there
OWN_FOLDER = "o"  # as FOLDER, where the folder itself is there and no link to one

_HEAD = 64  # bytes
_INSTALLED = ".dist-info"
_NOT_LISTED = "__pycache__"  # Python's own, written by whoever imports first
_DIFFERENT = "0" * 64  # the digest of what is not as it could ever have been recorded


def digest(code: str, path: str) -> str:
    """64 hex digits; `_DIFFERENT`, which is no digest of anything, where `path` is no such thing or cannot be
    read. A path without anything is KIND's only."""
    try:
        return _DIGESTS[code](path)
    except OSError:
        return _DIFFERENT


def links(path: str) -> list[str]:
    """The links in a folder: what they lead to may change while the folder does not. Raises OSError."""
    with os.scandir(path) as entries:
        return sorted(entry.path for entry in entries if entry.is_symlink())


def kind(path: str) -> str:
    """`file`, `folder`, `other` or `nothing`, behind links."""
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116
    except (FileNotFoundError, NotADirectoryError):
        return "nothing"
    return "folder" if stat.S_ISDIR(mode) else "file" if stat.S_ISREG(mode) else "other"


def _file(path: str) -> str:
    return canonical.sha256_of_file(Path(path)) if kind(path) == "file" else _DIFFERENT


def _head(path: str) -> str:
    if kind(path) != "file":
        return _DIFFERENT
    with open(path, "rb") as stream:  # noqa: PTH123
        return hashlib.sha256(stream.read(_HEAD)).hexdigest()


def _folder(path: str) -> str:
    listed = []
    with os.scandir(path) as entries:
        for entry in entries:
            if entry.name != _NOT_LISTED:
                kind = "l" if entry.is_symlink() else "d" if entry.is_dir() else "f"
                listed.append(kind.encode() + os.fsencode(entry.name))
    return hashlib.sha256(b"\0".join(sorted(listed))).hexdigest()


def _own_folder(path: str) -> str:
    return _DIFFERENT if os.path.islink(path) else _folder(path)  # noqa: PTH114


def _installed(path: str) -> str:
    names = sorted(os.fsencode(name) for name in os.listdir(path) if name.endswith(_INSTALLED))  # noqa: PTH208
    return hashlib.sha256(b"\0".join(names)).hexdigest()


def _kind(path: str) -> str:
    return hashlib.sha256(kind(path).encode()).hexdigest()


_DIGESTS: dict[str, Callable[[str], str]] = {
    FILE: _file,
    HEAD: _head,
    FOLDER: _folder,
    INSTALLED: _installed,
    KIND: _kind,
    OWN_FOLDER: _own_folder,
}
