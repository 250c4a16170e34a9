"""Digests of files, re-read only where stat(2) says that a file may have changed."""

from __future__ import annotations

import stat
import time
from dataclasses import dataclass
from pathlib import Path

from modelbuild.build import canonical, disk
from modelbuild.errors import ModelbuildError

SCHEMA = 1
# FAT stores times in steps of 2 s, the coarsest of the file systems in use; ext4's step is a timer tick.
GRANULARITY_NS = 2_000_000_000


@dataclass(frozen=True)
class Row:
    """What stat(2) said of a file before its digest was taken, and the digest."""

    size: int
    mtime_ns: int
    inode: int
    ctime_ns: int
    digest: str


class StatCache:
    """Label -> row. It saves reading; it never decides. Labels are root-relative paths or `blob:<digest>`."""

    def __init__(self, path: Path, scratch: Path) -> None:
        self._path = path
        self._scratch = scratch
        self._rows: dict[str, Row] = {}
        self._seen: dict[str, str] = {}
        self._changed = False
        self._load()

    def digest(self, label: str, path: Path) -> str:
        """The digest of the bytes the file had when this build first looked. Raises as `digest_now`."""
        found = self._seen.get(label)
        if found is None:
            found = self._seen[label] = self.digest_now(label, path)
        return found

    def forget(self) -> None:
        """Looks at every file again: a new build begins."""
        self._seen.clear()

    def digest_now(self, label: str, path: Path) -> str:
        """The digest of the bytes the file has now. Raises ModelbuildError (exit 2) if it is not a file."""
        try:
            return self._digest_now(label, path)
        except OSError as error:
            missing = isinstance(error, (FileNotFoundError, NotADirectoryError))
            raise ModelbuildError(
                f"{label} does not exist" if missing else f"cannot read {label}",
                why="" if missing else error.strerror or str(error),
                advice="check the path and its permissions",
            ) from error

    def has(self, label: str, path: Path, size: int, digest: str) -> bool:
        """Whether the file is there with that size and digest."""
        try:
            return path.stat().st_size == size and self._digest_now(label, path) == digest
        except OSError:
            return False

    def save(self) -> None:
        """Writes the rows if any is new. Raises ModelbuildError (exit 1)."""
        if self._changed:
            rows = {
                label: [row.size, row.mtime_ns, row.inode, row.ctime_ns, row.digest]
                for label, row in self._rows.items()
            }
            disk.write(self._path, disk.seal({"schema": SCHEMA, "rows": rows}), self._scratch)
            self._changed = False

    def _digest_now(self, label: str, path: Path) -> str:
        before = path.stat()
        row = self._rows.get(label)
        signature = (before.st_size, before.st_mtime_ns, before.st_ino, before.st_ctime_ns)
        if row is not None and signature == (row.size, row.mtime_ns, row.inode, row.ctime_ns):
            return row.digest
        if not stat.S_ISREG(before.st_mode):
            raise OSError(0, "it is a folder" if stat.S_ISDIR(before.st_mode) else "it is not a regular file")
        now = time.time_ns()
        digest = canonical.sha256_of_file(path)
        # A file changed this recently may change again and keep its times: it stays unknown until it is
        # older. Only ctime counts here: mtime can be set at will, and any write moves ctime.
        if before.st_ctime_ns + GRANULARITY_NS <= now:
            self._rows[label] = Row(*signature, digest)
            self._changed = True
        return digest

    def _load(self) -> None:
        data = disk.read(self._path)
        if data is None:
            return
        try:
            content = disk.unseal(data)
        except disk.Damaged:
            return  # the next save replaces it
        if content["schema"] == SCHEMA:
            self._rows = {label: Row(*values) for label, values in content["rows"].items()}
