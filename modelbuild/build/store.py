"""Output files by their content: blobs/ab/cdef..., whole, read-only, and checked before they are trusted."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from modelbuild.build import canonical, disk
from modelbuild.build.stat_cache import StatCache

READ_ONLY = 0o444


class Blob(NamedTuple):
    """A stored file: its SHA-256 and its size in bytes."""

    digest: str
    size: int


def blob_path(state_folder: Path, digest: str) -> Path:
    """Where a blob lies in the builder's folder, whether or not it is there."""
    return state_folder / f"store/blobs/{digest[:2]}/{digest[2:]}"


class Store:
    """The content-addressed store. Who holds the build lock may write and set aside; others only look."""

    def __init__(self, state_folder: Path, scratch: Path, stat_cache: StatCache, writable: bool) -> None:
        self._state_folder = state_folder
        self._scratch = scratch
        self._stat_cache = stat_cache
        self._writable = writable

    def path(self, digest: str) -> Path:
        """Where the blob lies, whether or not it is there."""
        return blob_path(self._state_folder, digest)

    def has(self, blob: Blob) -> bool:
        """Whether the blob is there and right. A damaged one is set aside as `*.bad`; one that the disk does
        not give just now stays, for others may be reading it."""
        path = self.path(blob.digest)
        try:
            if self._stat_cache.has(f"blob:{blob.digest}", path, blob.size, blob.digest):
                return True
        except OSError:
            return False
        self.set_aside(blob.digest)
        return False

    def still_has(self, digest: str) -> bool:
        """Whether a blob that was there and right still is."""
        return self._stat_cache.is_still(f"blob:{digest}", self.path(digest), digest)

    def missing(self, blobs: Mapping[str, Blob]) -> list[str]:
        """The names whose blobs are absent or damaged."""
        return [name for name in sorted(blobs) if not self.has(blobs[name])]

    def set_aside(self, digest: str) -> None:
        """Puts a blob out of use that was found damaged."""
        if self._writable:
            disk.set_aside(self.path(digest))

    def adopt(self, source: Path, blob: Blob) -> None:
        """Renames a flushed file of the store's file system into the store. Raises ModelbuildError (exit 1).

        A blob that is there and right stays, and `source` goes: all that is remembered of it still holds.
        Anything else in its place is replaced.
        """
        path = self.path(blob.digest)
        try:
            if self.still_has(blob.digest):
                source.unlink()
                return
            source.chmod(READ_ONLY)
            disk.move(source, path)
        except OSError as error:
            raise disk.failure("store", path, error) from error
        self._stat_cache.note(f"blob:{blob.digest}", path, blob.digest)

    def put(self, data: bytes) -> Blob:
        """Stores bytes. Raises ModelbuildError (exit 1)."""
        blob = Blob(canonical.sha256(data), len(data))
        if not self.has(blob):
            private = self._scratch / f"{blob.digest}.tmp"
            disk.write(private, data, self._scratch)
            self.adopt(private, blob)
        return blob
