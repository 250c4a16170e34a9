"""YAML text -> tree, in one safe, bounded walk over the parser's events. No scalar's type is guessed."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from modelbuild.errors import ModelbuildError, Problem
from modelbuild.formats.sealed_keys import without_keys
from modelbuild.manifest import conflict
from modelbuild.manifest.tree import Entry, Items, Mapping, Node, Position, Scalar

MAX_BYTES = 16 << 20
MAX_DEPTH = 40
MAX_NODES = 1_000_000  # after aliases are expanded

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_STRING_TAG = "tag:yaml.org,2002:str"
_MERGE_KEY = "<<"


def read(path: Path, name: str) -> Mapping:
    """The mapping in the file at `path`; messages call the file `name`."""
    try:
        if path.exists() and not path.is_file():  # opening a pipe would wait for ever
            raise OSError(0, "is a directory" if path.is_dir() else "is not a regular file")
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise ModelbuildError(
            f"cannot read the manifest: {(error.strerror or str(error)).lower()}",
            where=str(path) if path.name == name else name,
            advice=_elsewhere(path)
            or "name it with -f FILE, go to its folder with -C DIR, or make one with `modelbuild init`",
        ) from error
    if len(data) > MAX_BYTES:
        raise ModelbuildError(
            f"the manifest is larger than {MAX_BYTES >> 20} MiB",
            where=name,
            advice="is this the right file? Split large manifests with `include:`",
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ModelbuildError(
            "not UTF-8 text", where=f"{name}:{line}", why=f"byte {error.start} is 0x{data[error.start]:02x}"
        ) from error
    return parse(text, name)


def _elsewhere(path: Path) -> str:
    """What to do where a folder above has a manifest of that name."""
    if path.exists():
        return ""
    for above in path.absolute().parent.parents:
        with contextlib.suppress(OSError):  # of a folder that may not be read nobody knows
            if (above / path.name).is_file():
                there = os.fspath(above) if path.is_absolute() else os.path.relpath(above)
                return f"there is one in {there}: -C {there}"
    return ""


def parse(text: str, name: str) -> Mapping:
    """The mapping that `text` holds."""
    node = parse_node(text, name)
    if isinstance(node, Scalar) and node.is_null:
        raise ModelbuildError(
            "the manifest is empty", where=name, advice="begin with the line `modelbuild: 1`"
        )
    if not isinstance(node, Mapping):
        found = "a list" if isinstance(node, Items) else "a single value"
        raise ModelbuildError(
            f"expected a mapping at the top of the manifest, found {found}",
            where=str(node.at),
            advice="begin with the line `modelbuild: 1`",
        )
    return node


def parse_node(text: str, name: str) -> Node:
    """Whatever one YAML document holds; an empty one is an empty scalar."""
    _refuse_tabs(text, name)
    try:
        return _Composer(text, name).document()
    except yaml.MarkedYAMLError as error:
        if unmerged := conflict.found(text, name, "keep what belongs of each side, and remove the marks"):
            raise unmerged from None
        mark = error.problem_mark or error.context_mark
        at = Position(name, mark.line + 1, mark.column + 1) if mark else Position(name)
        raise ModelbuildError(
            f"not valid YAML: {without_keys(error.problem or error.context or '')}",
            where=str(at),
            why=without_keys(error.context) if error.context and error.problem else "",
            advice='put a value that begins with * into quotes: "*.jpg"'
            if "alias" in f"{error.problem} {error.context}"
            else "check indentation, quotes and brackets here and on the line before",
        ) from None
    except yaml.reader.ReaderError as error:
        raise ModelbuildError(
            f"not valid YAML: {error.reason}",
            where=_at_offset(text, name, error.position),
            advice="remove the character, or write it as an escape in double quotes",
        ) from None


def _refuse_tabs(text: str, name: str) -> None:
    for match in re.finditer(r"^ *(\t)[ \t]*[^\s#]", text, re.MULTILINE):
        raise ModelbuildError(
            "a tab in the indentation",
            where=_at_offset(text, name, match.start(1)),
            advice="indent with spaces; YAML does not take tabs",
        )


def _at_offset(text: str, name: str, offset: int) -> str:
    before = text[:offset]
    return str(Position(name, before.count("\n") + 1, offset - before.rfind("\n")))


def _shown(article: str, noun: str, name: str) -> str:
    """What a message is about, by its name; without one that may be a key, which someone put in the wrong
    place."""
    if without_keys(name) != name:
        return f"{article} {noun} that looks like an encryption key"
    return f"the {noun} {name}"


class _Composer:
    """Builds the tree from parser events, with limits on depth and on the size after alias expansion."""

    def __init__(self, text: str, name: str) -> None:
        self._next: Callable[[], Any] = _Loader(text).get_event
        self._name = name
        self._anchors: dict[str, tuple[Node, int, int]] = {}  # node, size, height
        self._open: set[str] = set()
        self._count = 0

    def document(self) -> Node:
        node: Node = Scalar("", False, Position(self._name, 1, 1))
        documents = 0
        while not isinstance(event := self._next(), yaml.StreamEndEvent):
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise self._error(
                        "a second YAML document", event, "keep one document in the file: remove `---`"
                    )
                node, _ = self._node(self._next(), 0)
        return node

    def _node(self, event: Any, depth: int) -> tuple[Node, int]:
        """The node that `event` begins, and its height."""
        if depth > MAX_DEPTH:
            raise self._error(
                f"nested more than {MAX_DEPTH} levels deep", event, "a manifest needs fewer than ten"
            )
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, depth)
        tag = event.tag
        if tag is not None and tag not in ("!", _STRING_TAG):
            raise self._error(
                _shown("a", "tag", tag), event, "manifests use no YAML tags but `!!str`: remove it"
            )
        size_before = self._count
        self._grow(1, event)
        anchor = event.anchor
        if anchor is not None:
            self._open.add(anchor)
        node: Node
        if isinstance(event, yaml.ScalarEvent):
            node, height = Scalar(event.value, tag is not None or not event.implicit[0], self._at(event)), 0
        elif isinstance(event, yaml.SequenceStartEvent):
            node, height = self._sequence(event, depth)
        else:
            node, height = self._mapping(event, depth)
        if anchor is not None:
            self._open.discard(anchor)
            self._anchors[anchor] = node, self._count - size_before, height
        return node, height

    def _alias(self, event: Any, depth: int) -> tuple[Node, int]:
        alias = _shown("an", "alias", f"*{event.anchor}")
        if event.anchor in self._open:
            raise self._error(f"{alias} stands inside what it names", event, "write the value out")
        if event.anchor not in self._anchors:
            anchor = f"&{event.anchor}" if alias.endswith(event.anchor) else "its anchor"
            raise self._error(f"{alias} names nothing", event, f"define {anchor} before it")
        node, size, height = self._anchors[event.anchor]
        if depth + height > MAX_DEPTH:
            raise self._error(
                f"nested more than {MAX_DEPTH} levels deep", event, "a manifest needs fewer than ten"
            )
        self._grow(size, event)
        return node, height

    def _sequence(self, event: Any, depth: int) -> tuple[Items, int]:
        nodes: list[Node] = []
        height = 0
        while not isinstance(following := self._next(), yaml.SequenceEndEvent):
            node, below = self._node(following, depth + 1)
            nodes.append(node)
            height = max(height, below + 1)
        return Items(tuple(nodes), self._at(event)), height

    def _mapping(self, event: Any, depth: int) -> tuple[Mapping, int]:
        entries: dict[str, Entry] = {}
        merged: list[Mapping] = []
        height = 0
        while not isinstance(key_event := self._next(), yaml.MappingEndEvent):
            key = self._key(key_event)
            node, below = self._node(self._next(), depth + 1)
            if below >= height:
                height = below + 1
            if key == _MERGE_KEY and not key_event.style:
                merged += self._merge_sources(node)
            elif key in entries:
                raise self._error(
                    f"{_shown('a', 'key', f'`{key}`')} stands here a second time",
                    key_event,
                    "keep one of the two",
                    why=f"the first is at {entries[key].key_at}",
                )
            else:
                entries[key] = Entry(self._at(key_event), node)
        for mapping in merged:
            for key, entry in mapping.entries.items():
                entries.setdefault(key, entry)
        return Mapping(self._at(event), entries), height

    def _key(self, event: Any) -> str:
        if isinstance(event, yaml.ScalarEvent) and event.anchor is None and event.tag is None:
            self._grow(1, event)
            return str(event.value)
        raise self._error(
            "a key that is not plain text", event, "keys are names; quote them where they look odd"
        )

    def _merge_sources(self, node: Node) -> list[Mapping]:
        """`<<: *a` or `<<: [*a, *b]`: the mappings to take absent keys from, the first one first."""
        sources = node.nodes if isinstance(node, Items) else (node,)
        mappings = [source for source in sources if isinstance(source, Mapping)]
        if len(mappings) < len(sources):
            raise ModelbuildError(
                "`<<` merges mappings, and this is none",
                where=str(node.at),
                advice="write `<<: *name` of a mapping",
            )
        return mappings

    def _grow(self, size: int, event: Any) -> None:
        self._count += size
        if self._count > MAX_NODES:
            raise self._error(
                f"more than {MAX_NODES:,} values after aliases are expanded", event, "use fewer aliases"
            )

    def _at(self, event: Any) -> Position:
        mark = event.start_mark
        return Position(self._name, mark.line + 1, mark.column + 1)

    def _error(self, what: str, event: Any, advice: str, why: str = "") -> ModelbuildError:
        return ModelbuildError.of([Problem(what, str(self._at(event)), why, advice)])
