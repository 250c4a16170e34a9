"""Actions as bytes, each read by itself: what is unaffected by a change need not even be read."""

from __future__ import annotations

import hashlib
import marshal
from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise
from pathlib import Path
from struct import Struct
from typing import Any

from modelbuild.build.action import Action, FileInput, OutputOf, Resources
from modelbuild.build.rows import pack, unpack

SCHEMA = 5
_DIGEST = 32  # bytes
_LENGTH = 8  # of the number in front that says how long the head is
_ROW = Struct("=qq32s")  # of the index: where an entry begins, where it ends, its digest
_BLOCK = 256 * _ROW.size  # bytes of the index that are held against a digest at once

Lists = Sequence[Sequence[int]]


def write(actions: Sequence[Action], readers: Lists, told: Any) -> tuple[bytes, bytes]:
    """A file of the actions, in an order in which each follows what it reads, and its digest as a name.

    `readers` has, for each of some files, the indices of the actions that read it; `told` are plain values.
    Raises ValueError where a parameter is no plain value.
    """
    position = {action.name: index for index, action in enumerate(actions)}
    dependencies = [sorted(map(position.__getitem__, action.dependencies())) for action in actions]
    dependents: list[list[int]] = [[] for _ in actions]
    for index, needed in enumerate(dependencies):
        for other in needed:
            dependents[other].append(index)
    shared = _Shared()
    own = [_to_plain(action, shared) for action in actions]
    plain: list[Any] = [*own, *zip(dependencies, dependents, strict=True), *map(list, readers)]
    entries = [marshal.dumps(entry) for entry in plain] + shared.entries
    rows = _index(entries)
    blocks = [hashlib.sha256(rows[at : at + _BLOCK]).digest() for at in range(0, len(rows), _BLOCK)]
    head = pack((SCHEMA, len(actions), len(readers), len(rows), blocks, told))
    return len(head).to_bytes(_LENGTH, "big") + head + rows + b"".join(entries), head[:_DIGEST]


def _index(entries: Sequence[bytes]) -> bytes:
    """A row an entry: what a change does not concern is not even held against a digest."""
    limits = pairwise(accumulate(map(len, entries), initial=0))
    return b"".join(
        _ROW.pack(*limit, hashlib.sha256(entry).digest())
        for limit, entry in zip(limits, entries, strict=True)
    )


class Written:
    """A file that `write` made. What of it is damaged raises Damaged when it is asked for."""

    def __init__(self, path: Path, name: bytes) -> None:
        """Raises Damaged, also where there is no file, or another than `name`."""
        try:
            self._file = path.open("rb")
            size = int.from_bytes(self._file.read(_LENGTH), "big")
            data = self._file.read(size) if size < path.stat().st_size else b""
        except OSError as error:
            raise Damaged from error
        head = unpack(data) if data[:_DIGEST] == name else None
        if head is None or head[0] != SCHEMA:
            self._file.close()
            raise Damaged
        _, self._actions, self._readers, self._size, self._blocks, self.told = head
        self._read: dict[int, Any] = {}
        self._index: dict[int, bytes] = {}
        self._behind = _LENGTH + size

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def action(self, index: int) -> Action:
        """One action."""
        return _from_plain(self._entry(index), self._shared)

    def dependencies(self, index: int) -> list[int]:
        """The actions whose outputs an action reads."""
        return self._around(index)[0]

    def dependents(self, index: int) -> list[int]:
        """The actions that read what an action leaves."""
        return self._around(index)[1]

    def readers(self, index: int) -> list[int]:
        """The actions that read one of the files."""
        found: list[int] = self._entry(2 * self._actions + index)
        return found

    def _around(self, index: int) -> tuple[list[int], list[int]]:
        found: tuple[list[int], list[int]] = self._entry(self._actions + index)
        return found

    def _shared(self, index: int) -> Any:
        """A value that many actions have, as one object for all of them."""
        if index not in self._read:
            self._read[index] = self._entry(2 * self._actions + self._readers + index)
        return self._read[index]

    def _entry(self, index: int) -> Any:
        number, place = divmod(index * _ROW.size, _BLOCK)
        block = self._index.get(number)
        if block is None:
            size = min(_BLOCK, self._size - number * _BLOCK)
            block = self._index[number] = self._at(number * _BLOCK, size, self._blocks[number])
        start, end, digest = _ROW.unpack_from(block, place)
        return marshal.loads(self._at(self._size + start, end - start, digest))

    def _at(self, place: int, size: int, digest: bytes) -> bytes:
        """Bytes behind the head. Raises Damaged."""
        self._file.seek(self._behind + place)
        data = self._file.read(size)
        if hashlib.sha256(data).digest() != digest:
            raise Damaged
        return data


class Damaged(Exception):
    """The bytes are not those that were written."""


class _Shared:
    """Values that many actions have alike, such as a chip's recipe, each written once."""

    def __init__(self) -> None:
        self.entries: list[bytes] = []
        self._known: dict[bytes, int] = {}
        self._seen: dict[int, tuple[Any, int]] = {}  # the value too: its id must not be used again

    def index(self, value: Any) -> int:
        """Where the value stands among `entries`."""
        if id(value) not in self._seen:
            # version 2 has no references: equal values are equal bytes
            self._seen[id(value)] = value, self.of(marshal.dumps(value, 2))
        return self._seen[id(value)][1]

    def of(self, data: bytes) -> int:
        """Where the marshalled value stands."""
        if data not in self._known:
            self._known[data] = len(self.entries)
            self.entries.append(data)
        return self._known[data]


def _to_plain(action: Action, shared: _Shared) -> tuple[Any, ...]:
    files = {role: source.path for role, source in action.inputs.items() if isinstance(source, FileInput)}
    outputs = _outputs(action.inputs)
    return (
        action.name,
        action.function,
        action.version,
        {name: shared.index(value) for name, value in action.parameters.items()},
        shared.of(marshal.dumps(files, 2)),
        outputs,
        _outputs(action.soft_inputs),
        action.discover,
        action.toolchain,
        dict(action.libraries),
        action.always,
        tuple(action.resources),
        dict(action.unkeyed),
        action.secrets,
    )


def _outputs(inputs: Mapping[str, FileInput | OutputOf]) -> dict[str, tuple[str, str]]:
    return {role: (one.action, one.name) for role, one in inputs.items() if isinstance(one, OutputOf)}


def _from_plain(entry: tuple[Any, ...], shared: Any) -> Action:
    name, function, version, parameters, files, outputs, soft, discover, *rest = entry
    toolchain, libraries, always, resources, unkeyed, secrets = rest
    return Action(
        name=name,
        function=function,
        version=version,
        parameters={key: shared(index) for key, index in parameters.items()},
        inputs={role: FileInput(path) for role, path in shared(files).items()}
        | {role: OutputOf(*pair) for role, pair in outputs.items()},
        soft_inputs={role: OutputOf(*pair) for role, pair in soft.items()},
        discover=discover,
        toolchain=toolchain,
        libraries=libraries,
        always=always,
        resources=Resources(*resources),
        unkeyed=unkeyed,
        secrets=secrets,
    )
