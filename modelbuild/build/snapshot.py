"""All that a finished build rests on, with digests: what differs now is known after one look at each."""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

from modelbuild.build.clock import Clock
from modelbuild.build.rows import ABSENT, UNKNOWN, Rows, Signature, pack, signature, unpack

SCHEMA = 4


class Snapshot(NamedTuple):  # no dataclass, as in modelbuild.errors
    """Rows in four blocks: what the plan was made from, files that actions read, what each action left in the
    state, and what lies in each published folder.

    The rows' names are paths, relative to the root where they lie in it. `codes` has a letter a row (of
    `look`). `action_spans` and `product_spans` are the limits of the rows of each of `actions` and of each
    product: `spans[i]` to `spans[i + 1]`. `results` are marshalled: what each action is known by, see
    `remember`. `plan` is the name of the file of the actions themselves (`written`), empty if there is none.
    `told` is what the builder's user wants to know again.
    """

    rows: Rows
    codes: str
    plan_rows: int
    actions: list[str]
    action_spans: array[int]
    product_spans: array[int]
    results: list[bytes]
    plan: bytes
    told: Any

    @property
    def file_rows(self) -> range:
        """The rows of files that actions read."""
        return range(self.plan_rows, self.action_spans[0])

    def pack(self) -> bytes:
        """The bytes of a file. Raises ValueError where `told` holds more than plain values."""
        spans = self.action_spans.tobytes(), self.product_spans.tobytes()
        lengths = array("q", map(len, self.results)).tobytes()
        names, results = "\0".join(self.actions), b"".join(self.results)
        rows = self.rows.packed()
        return pack(
            (SCHEMA, rows, self.codes, self.plan_rows, names, *spans, lengths, results, self.plan, self.told)
        )

    @classmethod
    def unpack(cls, data: bytes | None) -> Snapshot | None:
        """The inverse of `pack`; None for what is damaged, or of another Python or schema."""
        value = unpack(data)
        if value is None or value[0] != SCHEMA:
            return None
        _, rows, codes, plan_rows, names, actions, products, lengths, results, plan, told = value
        spans = array("q", actions), array("q", products)
        listed = names.split("\0") if len(spans[0]) > 1 else []
        cut, start = [], 0
        for length in array("q", lengths):
            cut.append(results[start : start + length])
            start += length
        return cls(Rows.unpacked(rows), codes, plan_rows, listed, *spans, cut, plan, told)

    def suspects(self, root: int) -> list[int]:
        """The rows whose files stat(2) does not find as they were; `root` is a descriptor of the root."""
        found: list[int] = []
        look_at = os.stat
        for index, (name, size, mtime, inode, ctime) in enumerate(self.rows):
            try:
                now = look_at(name, dir_fd=root)
            except (OSError, ValueError):
                if size != ABSENT[0]:
                    found.append(index)
                continue
            if (
                now.st_ctime_ns != ctime
                or now.st_mtime_ns != mtime
                or now.st_ino != inode
                or now.st_size != size
            ):
                found.append(index)
        return found

    def differing(self, root: str, clock: Clock) -> tuple[list[int], list[int]]:
        """The rows that look otherwise now, and those that got a new signature that is worth keeping."""
        descriptor = os.open(root, os.O_RDONLY)
        try:
            suspects = self.suspects(descriptor)
        finally:
            os.close(descriptor)
        different, renewed = [], []
        for index in suspects:
            row = Looked.now(self.codes[index], self.rows.names[index], root, clock)
            if row.digest != self.rows.digest(index):
                different.append(index)
            elif row.signature != UNKNOWN:
                self.rows.replace(index, row.signature, row.digest)
                renewed.append(index)
        return different, renewed


class Looked(NamedTuple):
    """A row to be: what a path looked like, and by which signature it is known again; UNKNOWN is by none."""

    code: str
    name: str
    digest: str
    signature: Signature = UNKNOWN

    @classmethod
    def now(cls, code: str, name: str, root: str, clock: Clock) -> Looked:
        """Looks at the path `name`, which is relative to `root` or absolute."""
        from modelbuild.build import look  # only where stat(2) does not suffice

        path = os.path.join(root, name)  # noqa: PTH118
        try:
            before = os.stat(path)  # noqa: PTH116
            known = signature(before) if clock.is_settled(before) else UNKNOWN
        except FileNotFoundError:
            known = ABSENT
        except (OSError, ValueError):
            known = UNKNOWN
        return cls(code, name, look.digest(code, path), known)


class Left(NamedTuple):
    """What one action left in the state, and what it is known by."""

    name: str
    rows: Sequence[Looked]
    result: bytes


def snapshot(
    plan_rows: Iterable[Looked],
    files: Iterable[Looked],
    actions: Sequence[Left],
    products: Sequence[Sequence[Looked]],
    plan: bytes,
    told: Any,
) -> Snapshot:
    """The snapshot of these rows."""
    rows, codes = Rows(), []

    def add(looked: Iterable[Looked]) -> int:
        for one in looked:
            rows.add(one.name, one.signature, one.digest)
            codes.append(one.code)
        return len(codes)

    limit = add(plan_rows)
    action_spans = array("q", [add(files)])
    action_spans.extend(add(left.rows) for left in actions)
    product_spans = array("q", [action_spans[-1]])
    product_spans.extend(add(folder) for folder in products)
    names, results = [left.name for left in actions], [left.result for left in actions]
    return Snapshot(rows, "".join(codes), limit, names, action_spans, product_spans, results, plan, told)


def renewed(
    old: Snapshot,
    files: Mapping[int, Looked],
    actions: Mapping[int, Left],
    products: Mapping[int, Sequence[Looked]],
    told: Any,
) -> Snapshot:
    """The snapshot with these in the place of what it says of some files, actions and products."""
    for index, row in files.items():
        old.rows.replace(index, row.signature, row.digest)
    rows, codes = Rows(), []

    def keep(start: int, stop: int) -> None:
        rows.extend(old.rows, start, stop)
        codes.append(old.codes[start:stop])

    def exchange(spans: array[int], changed: Mapping[int, Sequence[Looked]]) -> array[int]:
        """Copies the rows of `spans`, whole runs of them at a time, but for those that changed."""
        lengths = [stop - start for start, stop in pairwise(spans)]
        after = spans[0]
        for index in sorted(changed):
            keep(after, spans[index])
            for row in changed[index]:
                rows.add(row.name, row.signature, row.digest)
            codes.append("".join(row.code for row in changed[index]))
            after, lengths[index] = spans[index + 1], len(changed[index])
        keep(after, spans[-1])
        return array("q", accumulate(lengths, initial=first))

    first = old.action_spans[0]
    keep(0, first)
    action_spans = exchange(old.action_spans, {index: left.rows for index, left in actions.items()})
    first = len(rows)
    product_spans = exchange(old.product_spans, products)
    results = list(old.results)
    for index, left in actions.items():
        results[index] = left.result
    return Snapshot(
        rows,
        "".join(codes),
        old.plan_rows,
        old.actions,
        action_spans,
        product_spans,
        results,
        old.plan,
        told,
    )
