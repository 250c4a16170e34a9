"""`--set KEY=VALUE`: settings for one run, read by the manifest's own schema."""

from __future__ import annotations

from collections.abc import Mapping as AbstractMapping
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from modelbuild.errors import ModelbuildError
from modelbuild.manifest import document, options
from modelbuild.manifest.explain import validate
from modelbuild.manifest.problems import Problems
from modelbuild.manifest.tree import Entry, Items, Mapping, Node, Position, Scalar

OPTION = "--set"
ACTS_ON = (
    f"`{OPTION}` acts on every model and target that the command names, on all if it names none: "
    "name the one that it is meant for, MODEL@TARGET"
)


@dataclass(frozen=True)
class Override:
    """One `--set`, as typed and as settings."""

    text: str
    values: AbstractMapping[str, Any]

    @property
    def origin(self) -> str:
        """How messages call it."""
        return f"{OPTION} {self.text}"


def read(texts: Sequence[str], problems: Problems) -> tuple[Override, ...]:
    """Reads `quantize.range.method=minmax` and the like; VALUE is YAML on one line."""
    found = []
    for text in texts:
        at = Position(f"{OPTION} {text}")
        key, equals, value = text.partition("=")
        if not equals or not all(part.strip() for part in key.split(".")):
            problems.error("expected KEY=VALUE", at, advice=f"write {OPTION} quantize.range.method=minmax")
            continue
        try:
            node = _move(document.parse_node(value, at.file), at)
        except ModelbuildError as error:
            problems.error(error.problems[0].what, at, advice="VALUE is YAML on one line")
            continue
        for part in reversed(key.split(".")):
            node = Mapping(at, {part.strip(): Entry(at, node)})
        assert isinstance(node, Mapping)
        settings = validate(options.Settings, node, problems).value
        if settings is not None:
            found.append(Override(text, options.written(settings)))
    return tuple(found)


def from_json(value: Any, at: Position) -> Node:
    """JSON values as if they had been written in a manifest, all at one place. For recipes' `defaults`."""
    if isinstance(value, AbstractMapping):
        return Mapping(at, {str(key): Entry(at, from_json(item, at)) for key, item in value.items()})
    if isinstance(value, list | tuple):
        return Items(tuple(from_json(item, at) for item in value), at)
    if isinstance(value, str):
        return Scalar(value, True, at)
    if value is None or isinstance(value, bool):  # 1 is True as a key of a mapping
        return Scalar({None: "null", True: "true", False: "false"}[value], False, at)
    return Scalar(repr(value), False, at)


def _move(node: Node, at: Position) -> Node:
    if isinstance(node, Mapping):
        return Mapping(at, {key: Entry(at, _move(entry.node, at)) for key, entry in node.entries.items()})
    if isinstance(node, Items):
        return Items(tuple(_move(item, at) for item in node.nodes), at)
    return Scalar(node.text, node.quoted, at)
