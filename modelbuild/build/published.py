"""Which folders outside the state the builder has made: what may be removed, and nothing else."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

from modelbuild.build import disk

SCHEMA = 2


class Published:
    """Paths of folders, relative to the root, and whose they are (a manifest's name), as one sealed file.

    A damaged file counts as none. Folders outside the root are not remembered: they stay.
    """

    def __init__(self, path: Path, scratch: Path, root: Path) -> None:
        self._path = path
        self._scratch = scratch
        self._root = root
        self._known: dict[str, str] | None = None

    def add(self, folder: Path, owner: str = "") -> None:
        """Remembers a folder, before it is made. Raises ModelbuildError (exit 1)."""
        label = self._label(folder)
        if _is_inside(label) and self._owners().get(label) != owner:
            self._write({**self._owners(), label: owner})

    def forget(self, folder: Path) -> None:
        """Lets go of a folder that is no more. Raises ModelbuildError (exit 1)."""
        label = self._label(folder)
        if label in self._owners():
            self._write({name: owner for name, owner in self._owners().items() if name != label})

    def owner(self, folder: Path) -> str:
        """Whose the folder is; nothing if that is not known."""
        return self._owners().get(self._label(folder), "")

    def folders(self, owner: str | None = None) -> list[Path]:
        """All that were remembered, or those of one owner, whether or not they are there; sorted."""
        known = sorted(self._owners().items())
        return [self._root / label for label, whose in known if _is_inside(label) and owner in (None, whose)]

    def _label(self, folder: Path) -> str:
        return os.path.relpath(folder, self._root).replace(os.sep, "/")

    def _write(self, owners: dict[str, str]) -> None:
        disk.write(self._path, disk.seal({"schema": SCHEMA, "folders": owners}), self._scratch)
        self._known = owners

    def _owners(self) -> dict[str, str]:
        if self._known is None:
            self._known = self._read()
        return self._known

    def _read(self) -> dict[str, str]:
        data = disk.read(self._path)
        if data is None:
            return {}
        try:
            content = disk.unseal(data)
        except disk.Damaged:
            return {}  # the next addition replaces it
        folders: dict[str, str] = content["folders"] if content["schema"] == SCHEMA else {}
        return folders


def _is_inside(label: str) -> bool:
    path = PurePosixPath(label)
    return bool(path.parts) and ".." not in path.parts and not path.is_absolute()
