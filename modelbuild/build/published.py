"""Which folders outside the state the builder has made: what `clean` may remove, and nothing else."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

from modelbuild.build import disk

SCHEMA = 1


class Published:
    """Paths of folders, relative to the root, kept as one sealed file; a damaged one counts as none.

    Folders outside the root are not remembered: they stay.
    """

    def __init__(self, path: Path, scratch: Path, root: Path) -> None:
        self._path = path
        self._scratch = scratch
        self._root = root

    def add(self, folder: Path) -> None:
        """Remembers a folder, before it is made. Raises ModelbuildError (exit 1)."""
        label = os.path.relpath(folder, self._root).replace(os.sep, "/")
        known = self._read()
        if _is_inside(label) and label not in known:
            content = {"schema": SCHEMA, "folders": sorted([*known, label])}
            disk.write(self._path, disk.seal(content), self._scratch)

    def folders(self) -> list[Path]:
        """All that were remembered, whether or not they are there; sorted."""
        return [self._root / label for label in self._read() if _is_inside(label)]

    def _read(self) -> list[str]:
        data = disk.read(self._path)
        if data is None:
            return []
        try:
            content = disk.unseal(data)
        except disk.Damaged:
            return []  # the next addition replaces it
        folders: list[str] = content["folders"] if content["schema"] == SCHEMA else []
        return folders


def _is_inside(label: str) -> bool:
    path = PurePosixPath(label)
    return bool(path.parts) and ".." not in path.parts and not path.is_absolute()
