"""Output files by their content: blobs/ab/cdef..., whole, read-only, and checked before they are trusted."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from modelbuild.build import canonical, disk
from modelbuild.build.stat_cache import StatCache

BLOBS = "store/blobs"  # in the builder's folder
READ_ONLY = 0o444


class Blob(NamedTuple):
    """A stored file: its SHA-256 and its size in bytes."""

    digest: str
    size: int


def blob_path(state_folder: Path, digest: str) -> Path:
    """Where a blob lies in the builder's folder, whether or not it is there."""
    return Path(_blob_place(str(state_folder), digest))


def _blob_place(state_folder: str, digest: str) -> str:
    return f"{state_folder}/{BLOBS}/{name_of(digest)}"


def name_of(digest: str) -> str:
    """What a blob is called in the folder of all."""
    return f"{digest[:2]}/{digest[2:]}"


class Store:
    """The content-addressed store. Who holds the build lock may write and set aside; others only look."""

    def __init__(self, state_folder: Path, scratch: Path, stat_cache: StatCache, writable: bool) -> None:
        self._state_folder = str(state_folder)
        self._scratch = scratch
        self._stat_cache = stat_cache
        self._writable = writable

    def path(self, digest: str) -> Path:
        """Where the blob lies, whether or not it is there."""
        return Path(self.place(digest))

    def place(self, digest: str) -> str:
        """The same as text."""
        return _blob_place(self._state_folder, digest)

    @property
    def folder(self) -> str:
        """Where the blobs lie."""
        return f"{self._state_folder}/{BLOBS}"

    def has(self, blob: Blob) -> bool:
        """Whether the blob is there and right. A damaged one is set aside as `*.bad`; one that the disk does
        not give just now stays, for others may be reading it."""
        path = self.place(blob.digest)
        try:
            if self._stat_cache.has(f"blob:{blob.digest}", path, blob.size, blob.digest):
                return True
        except OSError:
            return False
        self.set_aside(blob.digest)
        return False

    def still_has(self, digest: str) -> bool:
        """Whether a blob that was there and right still is."""
        return self._stat_cache.is_still(f"blob:{digest}", self.place(digest), digest)

    def missing(self, blobs: Mapping[str, Blob]) -> list[str]:
        """The names whose blobs are absent or damaged."""
        return [name for name in sorted(blobs) if not self.has(blobs[name])]

    def set_aside(self, digest: str) -> None:
        """Puts a blob out of use that was found damaged."""
        if self._writable:
            disk.set_aside(self.path(digest))

    def adopt(self, source: disk.Place, blob: Blob, *, is_flushed: bool = True) -> None:
        """Renames a file of the store's file system into the store, flushed. Raises ModelbuildError (exit 1).

        A blob that is there and right stays, and `source` goes: all that is remembered of it still holds.
        Anything else in its place is replaced.
        """
        path = self.place(blob.digest)
        try:
            if self.still_has(blob.digest):
                os.unlink(source)  # noqa: PTH108
                return
            if not is_flushed:
                disk.flush_file(source)
            os.chmod(source, READ_ONLY)  # noqa: PTH101
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
