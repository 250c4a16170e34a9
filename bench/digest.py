"""Files -> one digest, under which what was measured with them is found again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path


def files(paths: Iterable[Path]) -> list[Path]:
    """The files at or below the paths, in order, but what Python compiled."""
    found = [file for path in paths for file in ([path] if path.is_file() else sorted(path.rglob("*")))]
    return [file for file in found if file.is_file() and file.suffix != ".pyc"]


def digest(paths: Iterable[Path]) -> str:
    """Of the content of the files."""
    found = hashlib.sha256()
    for path in paths:
        found.update(hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()
