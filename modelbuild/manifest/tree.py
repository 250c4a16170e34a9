"""The manifest as it was written: scalars with their text, and for every key and value where it stands."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

Path = tuple[str | int, ...]


class Position(NamedTuple):  # a manifest of a thousand models has 50,000 of them
    """A place in a file; lines and columns count from 1. Line 0 means the file, or the option, as a whole."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file

    @classmethod
    def of(cls, text: str) -> Position | None:
        """The place that was written as text; None where it is none in a file."""
        file, *numbers = text.rsplit(":", 2)
        return cls(file, *map(int, numbers)) if len(numbers) == 2 and all(map(str.isdigit, numbers)) else None


@dataclass(frozen=True, slots=True)
class Scalar:
    """A value as text. Whether `0010` is a number or four characters is for the reader of the key to say."""

    text: str
    quoted: bool
    at: Position

    @property
    def is_null(self) -> bool:
        """Nothing, `~` or `null`, unquoted."""
        return not self.quoted and self.text in ("", "~", "null", "Null", "NULL")


@dataclass(frozen=True, slots=True)
class Items:
    """A list."""

    nodes: tuple[Node, ...]
    at: Position


class Entry(NamedTuple):
    """A key's place and its value."""

    key_at: Position
    node: Node


@dataclass(frozen=True, slots=True)
class Mapping:
    """A mapping, in the order written."""

    at: Position
    entries: dict[str, Entry] = field(default_factory=dict)


Node = Scalar | Items | Mapping


def to_plain(node: Node) -> object:
    """Dicts and lists with `Scalar` leaves; an unquoted null is None."""
    if isinstance(node, Mapping):
        return {key: to_plain(entry.node) for key, entry in node.entries.items()}
    if isinstance(node, Items):
        return [to_plain(item) for item in node.nodes]
    return None if node.is_null else node


def steps(node: Node, path: Sequence[str | int]) -> Iterator[tuple[Position, Node]]:
    """The place of the key (of the item, in a list) and the value at each step of `path` that exists."""
    for step in path:
        if isinstance(node, Mapping) and step in node.entries:
            entry = node.entries[str(step)]
            node = entry.node
            yield entry.key_at, node
        elif isinstance(node, Items) and isinstance(step, int) and 0 <= step < len(node.nodes):
            node = node.nodes[step]
            yield node.at, node
        else:
            return


def find(node: Node, path: Sequence[str | int]) -> Node | None:
    """The value at `path`, if there is one."""
    found = list(steps(node, path))
    if len(found) < len(path):
        return None
    return found[-1][1] if found else node


def place(node: Node, path: Sequence[str | int], of_key: bool = False) -> Position:
    """Where the value at `path` stands. Of a mapping, of nothing, and where `of_key` asks for it, that is
    where its key stands. What is not written stands where the nearest thing around it does; a value in its
    short form (`faces` for `{set: faces}`) where the short form does."""
    found = list(steps(node, path))
    if not found:
        return node.at
    key_at, value = found[-1]
    if isinstance(value, Mapping) or (isinstance(value, Scalar) and value.is_null):
        return key_at
    written = len(found) == len(path)
    return value.at if (written and not of_key) or (not written and isinstance(value, Scalar)) else key_at
