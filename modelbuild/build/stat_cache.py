"""Digests of files, re-read only where stat(2) says that a file may have changed."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

from modelbuild.build import canonical, disk
from modelbuild.build.appending import append
from modelbuild.build.clock import Clock
from modelbuild.build.rows import UNKNOWN, Rows, Signature, pack, signature, unpack
from modelbuild.errors import ModelbuildError

SCHEMA = 3
_SLACK = 200_000  # rows that nothing asked for in this process and that are kept all the same
_FEW = 4  # new rows that are fewer than one of so many are added to the file
_MOST_BLOCKS = 64  # of a file that is added to
_LENGTH = 8  # bytes in front of a block that say how long it is


Row = tuple[Signature, str]  # with the digest


class Seen(NamedTuple):
    """The digest of a file, and what stat(2) said of it before it was read."""

    digest: str
    signature: Signature


class StatCache:
    """Label -> row. It saves reading; it never decides. Labels are root-relative paths or `blob:<digest>`.

    The file is a block of columns, read when a label is asked for that nobody lent, and blocks of what came
    later."""

    def __init__(self, path: Path, scratch: Path, clock: Clock | None = None) -> None:
        self._path = path
        self._scratch = scratch
        self._clock = clock or Clock(None)
        self._rows: Rows | None = None
        self._index: dict[str, int] = {}
        self._noted: dict[str, tuple[disk.Place, Signature, str]] = {}
        self._made: dict[str, str] = {}  # the digests of all that was noted
        self._used: set[str] = set()
        self._seen: dict[str, Seen] = {}
        self._added: dict[str, Row] = {}  # what the file lacks
        self._lent: Mapping[str, Row] = {}
        self._is_whole = True  # the file, as far as it was read, and of few blocks

    @property
    def clock(self) -> Clock:
        """What says whether a file is old enough to be remembered."""
        return self._clock

    def digest(self, label: str, path: disk.Place) -> str:
        """The digest of the bytes the file had when this build first looked. Raises as `digest_now`."""
        return self.seen(label, path).digest

    def seen(self, label: str, path: disk.Place) -> Seen:
        """What this build saw when it first looked. Raises as `digest_now`."""
        found = self._seen.get(label)
        if found is None:
            found = self._seen[label] = self._seen_now(label, path)
        return found

    def look_again(self, label: str, path: disk.Place) -> Seen:
        """What the file is now. Where its bytes are those of the first look, `seen` has this signature from
        now on. Raises as `digest_now`."""
        now = self._seen_now(label, path)
        if self._seen.setdefault(label, now).digest == now.digest:
            self._seen[label] = now
        return now

    def forget(self) -> None:
        """Looks at every file again: a new build begins."""
        self._seen.clear()

    def digest_now(self, label: str, path: disk.Place) -> str:
        """The digest of the bytes the file has now. Raises ModelbuildError: exit 2 if it is not a file that
        may be read, 1 if the disk fails."""
        return self._seen_now(label, path).digest

    def row_now(self, label: str, path: disk.Place, made: str | None = None, *, reads: bool = True) -> Row:
        """The digest of the bytes the file has now, with its signature if that is worth remembering, else
        UNKNOWN. Raises as `digest_now`.

        A file that is to have the digest `made`, or that was noted with one, is not read while it is too
        young to be remembered, nor without `reads`: that digest stands beside UNKNOWN, so that the next look
        reads the file, and holds it against what was made."""
        try:
            found = os.stat(path)  # noqa: PTH116
            made = made or self._made.get(label)
            is_doubtful = made is not None and self._is_to_read(label, found)
            if made is not None and is_doubtful and not (reads and self._clock.is_settled(found)):
                return UNKNOWN, made
            return self._known(label, path, found)
        except OSError as error:
            raise _unreadable(label, path, error) from error

    def _seen_now(self, label: str, path: disk.Place) -> Seen:
        try:
            found = os.stat(path)  # noqa: PTH116
            return Seen(self._known(label, path, found)[1], signature(found))
        except OSError as error:
            raise _unreadable(label, path, error) from error

    def has(self, label: str, path: disk.Place, size: int, digest: str) -> bool:
        """Whether the file is there with that size and digest. Raises OSError if nobody can say."""
        try:
            found = os.stat(path)  # noqa: PTH116
            return found.st_size == size and self._known(label, path, found)[1] == digest
        except OSError as error:
            if error.errno in disk.TROUBLES:
                raise
            return False

    def is_still(self, label: str, path: disk.Place, digest: str) -> bool:
        """Whether a file that the builder wrote, or has seen before, is there with that digest."""
        try:
            found = os.stat(path)  # noqa: PTH116
            noted = self._noted.get(label)
            if noted is not None and noted[1:] == (signature(found), digest):
                return True
            return self._known(label, path, found)[1] == digest
        except OSError:
            return False

    def note(self, label: str, path: disk.Place, digest: str) -> None:
        """Takes the digest of a file that the builder has just written, computed while it was: nobody else
        writes there, so it need not be read again. It counts once the file is old enough. A file that is not
        there is passed over."""
        self._made[label] = digest
        try:
            self._noted[label] = path, signature(os.stat(path)), digest  # noqa: PTH116
        except OSError:
            return

    def settle(self) -> None:
        """Remembers the files noted that are old enough by now and as they were; forgets the others."""
        noted, self._noted = self._noted, {}
        for label, (path, before, digest) in noted.items():
            try:
                found = os.stat(path)  # noqa: PTH116
            except OSError:
                continue
            if signature(found) == before and self._clock.is_settled(found):
                self._keep(label, before, digest)

    def lend(self, rows: Mapping[str, Row]) -> None:
        """Rows that hold as those of the file do, and spare reading it where others are not asked for."""
        self._lent = rows

    def load(self) -> None:
        """Reads the file now, which else is read when it is needed."""
        self._loaded()

    def row(self, label: str) -> Row | None:
        """What is known of a label: signature and digest."""
        known = self._added.get(label) or self._lent.get(label)
        if known is not None:
            return known
        rows = self._loaded()
        index = self._index.get(label)
        return None if index is None else (rows.signature(index), rows.digest(index))

    def names(self, digests: Collection[str]) -> dict[str, list[str]]:
        """Digest -> the paths under which files were last known to have it, in their order."""
        found: dict[str, list[str]] = {}
        for label, (_, digest) in sorted(self._all().items()):
            if digest in digests and not label.startswith("blob:"):
                found.setdefault(digest, []).append(label)
        return found

    def save(self) -> None:
        """Writes the rows if any is new. Raises ModelbuildError (exit 1)."""
        self.settle()
        is_much = self._rows is not None and len(self._added) * _FEW > len(self._rows)
        is_whole, self._is_whole = self._is_whole, False  # until it is known that all is written
        if is_much or not is_whole:
            self._rows = _rows(self._all())
            disk.write(self._path, _block(self._rows), self._scratch)
        elif self._added:
            append(self._path, _block(_rows(self._added)))
        self._is_whole = True
        self._lent, self._added = {**self._lent, **self._added}, {}

    def trim(self) -> None:
        """Drops rows that nothing asked for, once they are many. For a process that looked at all that a
        project rests on: one that built a single action again would drop all the others."""
        if len(self._loaded()) + len(self._added) > 2 * len(self._used) + _SLACK:
            self._rows = _rows({label: row for label, row in self._all().items() if label in self._used})
            self._index = {label: index for index, label in enumerate(self._rows.names)}
            self._is_whole = False

    def _is_to_read(self, label: str, found: os.stat_result) -> bool:
        known = self.row(label)
        return stat.S_ISREG(found.st_mode) and (known is None or known[0] != signature(found))

    def _known(self, label: str, path: disk.Place, found: os.stat_result) -> Row:
        """The row of a file of which stat(2) said `found`; its signature is UNKNOWN if it is too young."""
        now = signature(found)
        known = self.row(label)
        if known is not None and known[0] == now:
            self._used.add(label)
            return known
        if not stat.S_ISREG(found.st_mode):
            raise OSError(0, "it is a folder" if stat.S_ISDIR(found.st_mode) else "it is not a regular file")
        settled = self._clock.is_settled(found)
        digest = canonical.sha256_of_file(Path(path))
        if not settled:  # it may change again and keep its times: it stays unknown until it is older
            return UNKNOWN, digest
        self._keep(label, now, digest)
        return now, digest

    def _keep(self, label: str, signature: Signature, digest: str) -> None:
        self._added[label] = signature, digest
        self._used.add(label)

    def _loaded(self) -> Rows:
        if self._rows is None:
            blocks, self._is_whole = _blocks(disk.read(self._path) or b"")
            self._rows = blocks[0] if blocks else Rows()
            self._index = {label: index for index, label in enumerate(self._rows.names)}
            for block in blocks[1:]:
                self._lay(block)
            self._is_whole &= len(blocks) <= _MOST_BLOCKS
        return self._rows

    def _lay(self, block: Rows) -> None:
        """Puts rows over those that are there."""
        assert self._rows is not None
        for index, label in enumerate(block.names):
            place = self._index.setdefault(label, len(self._rows))
            put = self._rows.add if place == len(self._rows) else partial(self._rows.put, place)
            put(label, block.signature(index), block.digest(index))

    def _all(self) -> dict[str, Row]:
        """What is known of every label."""
        rows = self._loaded()
        known = {label: (rows.signature(index), rows.digest(index)) for label, index in self._index.items()}
        return {**known, **self._lent, **self._added}


def _unreadable(label: str, path: disk.Place, error: OSError) -> ModelbuildError:
    if error.errno in disk.TROUBLES:
        return disk.failure("read", path, error)
    missing = isinstance(error, (FileNotFoundError, NotADirectoryError))
    return ModelbuildError(
        f"{label} does not exist" if missing else f"cannot read {label}",
        why="" if missing else error.strerror or str(error),
        advice="check the path and its permissions",
    )


def _rows(known: Mapping[str, Row]) -> Rows:
    rows = Rows()
    for label, row in sorted(known.items()):
        rows.add(label, *row)
    return rows


def _block(rows: Rows) -> bytes:
    data = pack((SCHEMA, rows.packed()))
    return len(data).to_bytes(_LENGTH, "big") + data


def _blocks(data: bytes) -> tuple[list[Rows], bool]:
    """The blocks up to the first that is damaged, and whether none is."""
    found: list[Rows] = []
    start = 0
    while start < len(data):
        end = start + _LENGTH + int.from_bytes(data[start : start + _LENGTH], "big")
        value = unpack(data[start + _LENGTH : end])
        if value is None or value[0] != SCHEMA:
            return found, False
        found.append(Rows.unpacked(value[1]))
        start = end
    return found, True
