"""What is otherwise since a snapshot was written: a small file beside a large one, which stays as it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from modelbuild.build.rows import Signature, pack, unpack
from modelbuild.build.snapshot import Left, Looked, Snapshot

SCHEMA = 1
_MOST = 4096  # rows; to write the whole snapshot is less trouble then
_NAME = 32  # bytes at the head of a snapshot's file, which no other has

Row = tuple[str, Signature, str]  # name, signature, digest


class Amendment(NamedTuple):  # no dataclass, as in modelbuild.errors
    """Rows and results, by index, that stand in the place of those in the file that begins with `of`."""

    of: bytes
    rows: dict[int, Row]
    results: dict[int, bytes]

    @property
    def is_small(self) -> bool:
        """Whether it is worth a file of its own."""
        return len(self.rows) <= _MOST

    def add(self, snapshot: Snapshot, rows: Iterable[int]) -> None:
        """Takes over these rows of the snapshot."""
        held = snapshot.rows
        self.rows.update((row, (held.names[row], held.signature(row), held.digest(row))) for row in rows)

    def pack(self, told: Any) -> bytes:
        """The bytes of a file. Raises ValueError where `told`, which is the snapshot's, holds more than plain
        values."""
        return pack((SCHEMA, *self, told))


def load(data: bytes | None, amended: bytes | None) -> tuple[Snapshot, Amendment] | None:
    """The snapshot in a file as the file beside it says that it is now; None where the first is damaged. The
    other counts only if it is whole and about this one: without it files are looked at once more."""
    snapshot = Snapshot.unpack(data)
    if snapshot is None or data is None:
        return None
    value = unpack(amended)
    if value is None or value[:2] != (SCHEMA, data[:_NAME]):
        return snapshot, Amendment(data[:_NAME], {}, {})
    _, of, rows, results, told = value
    for index, row in rows.items():
        snapshot.rows.put(index, *row)
    for index, result in results.items():
        snapshot.results[index] = result
    return snapshot._replace(told=told), Amendment(of, rows, results)


def amended(
    before: Amendment,
    snapshot: Snapshot,
    files: Mapping[int, Looked],
    actions: Mapping[int, Left],
    products: Mapping[int, Sequence[Looked]],
) -> Amendment | None:
    """`before`, and besides what is otherwise of some files, actions and products; None where one of these
    has another number of rows now, or rows of another kind."""
    spans = [(snapshot.action_spans[index : index + 2], left.rows) for index, left in actions.items()]
    spans += [(snapshot.product_spans[index : index + 2], rows) for index, rows in products.items()]
    changed = dict(files)
    for (first, end), found in spans:
        if [row.code for row in found] != list(snapshot.codes[first:end]):
            return None
        changed.update(enumerate(found, first))
    rows = {index: (row.name, row.signature, row.digest) for index, row in changed.items()}
    results = {index: left.result for index, left in actions.items()}
    return Amendment(before.of, before.rows | rows, before.results | results)
