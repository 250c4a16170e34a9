"""An action's key and the explanation of its change, both from one list of fields."""

from __future__ import annotations

import math
import posixpath
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal, NamedTuple

from modelbuild.build import canonical
from modelbuild.build.action import Action
from modelbuild.errors import ModelbuildError

FieldPath = tuple[str | int, ...]
Fields = list[tuple[FieldPath, Any]]


class Change(NamedTuple):
    """One field in which two lists of fields differ; `old` is None where added, `new` where removed."""

    path: FieldPath
    kind: Literal["changed", "added", "removed"]
    old: Any
    new: Any

    @property
    def field(self) -> str:
        """The path as people write it: `parameters.range.method`."""
        return ".".join(str(part) for part in self.path)

    def to_json(self) -> dict[str, Any]:
        """`{field, path, kind, old, new}`."""
        return {**self._asdict(), "path": list(self.path), "field": self.field}


class Walks:
    """Parameters that actions of one build share, such as a chip's recipe: each is walked and written once.

    They are known by their identity, so they must not change while this lasts."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int], tuple[Any, _Group]] = {}

    def of(self, name: str, value: Any, action: str) -> _Group:
        """The leaves of the parameter `name`."""
        if not isinstance(value, (dict, list, tuple)):
            return _group(_leaves(("parameters", name), value, action))
        known = self._known.get((name, id(value)))
        if known is None:
            known = value, _group(_leaves(("parameters", name), value, action))
            self._known[name, id(value)] = known
        return known[1]


_Group = tuple[Fields, bytes]  # rows, and their canonical form without the brackets


def keyed(action: Action, digests: Mapping[str, str], walks: Walks) -> tuple[str, Fields]:
    """The key, and everything that decides an action's outputs, a leaf a row; `digests` is role -> digest.

    The rows' paths are tuples with names for mappings and numbers for lists, so that no two different actions
    give one list. Raises ModelbuildError (exit 1) if a parameter is not JSON.
    """
    paths = action.paths()
    more: Fields = [(("suffixes", role), posixpath.splitext(path)[1].lower()) for role, path in paths.items()]
    if action.discover is not None and len(paths) > 1:  # one base names what all of them found
        more += [(("folders", role), posixpath.dirname(path)) for role, path in paths.items()]
    return _joined(_groups(action, action.function, digests, more, walks))


def keyed_discovery(action: Action, digests: Mapping[str, str], walks: Walks) -> tuple[str, Fields]:
    """As `keyed`, of what decides which files an action's `discover` function finds.

    That is also where its files lie: equal bytes in two folders name the files beside each.
    """
    more: Fields = [(("paths", role), path) for role, path in action.paths().items()]
    return _joined(_groups(action, f"discover {action.discover}", digests, more, walks))


def fields(action: Action, digests: Mapping[str, str]) -> Fields:
    """The rows of `keyed`."""
    return keyed(action, digests, Walks())[1]


def discovery_fields(action: Action, digests: Mapping[str, str]) -> Fields:
    """The rows of `keyed_discovery`."""
    return keyed_discovery(action, digests, Walks())[1]


def key_of(rows: Fields) -> str:
    """The SHA-256 of the canonical form of the fields, 64 hex digits."""
    return canonical.sha256(canonical.encode(rows))


def explain(old: Fields, new: Fields) -> tuple[Change, ...]:
    """The fields that differ, in the order of their paths; empty exactly if the keys are equal."""
    before, after = dict(old), dict(new)
    changes = []
    for path in sorted(before.keys() | after.keys(), key=canonical.encode):
        if path not in before:
            changes.append(Change(path, "added", None, after[path]))
        elif path not in after:
            changes.append(Change(path, "removed", before[path], None))
        elif canonical.encode(before[path]) != canonical.encode(
            after[path]
        ):  # 1, 1.0 and True are equal in Python
            changes.append(Change(path, "changed", before[path], after[path]))
    return tuple(changes)


def _groups(
    action: Action, function: str, digests: Mapping[str, str], more: Fields, walks: Walks
) -> Iterator[_Group]:
    yield _group([(("function",), function), (("version",), action.version)])
    if not isinstance(action.parameters, Mapping) or not all(
        isinstance(name, str) for name in action.parameters
    ):
        raise _not_json(("parameters",), "a mapping whose keys are not all text", action.name)
    if not action.parameters:
        yield _group([(("parameters",), {})])
    for name in sorted(action.parameters):
        yield walks.of(name, action.parameters[name], action.name)
    rows: Fields = [(("inputs", role), digests[role]) for role in sorted(digests)]
    rows.append((("toolchain",), action.toolchain))
    rows += [(("libraries", name), action.libraries[name]) for name in sorted(action.libraries)]
    yield _group(rows + more)


def _group(rows: Iterable[tuple[FieldPath, Any]]) -> _Group:
    listed = list(rows)
    return listed, canonical.encode(listed)[1:-1]


def _joined(groups: Iterable[_Group]) -> tuple[str, Fields]:
    """The canonical form of a list is those of its parts between commas."""
    listed = list(groups)
    key = canonical.sha256(b"[" + b",".join(text for _, text in listed) + b"]")
    return key, [row for rows, _ in listed for row in rows]


def _leaves(path: FieldPath, value: Any, action: str) -> Iterator[tuple[FieldPath, Any]]:
    if isinstance(value, (dict, Mapping)) and value:  # of a dict the first is known at once
        if not all(isinstance(name, str) for name in value):
            raise _not_json(path, "a mapping whose keys are not all text", action)
        for name in sorted(value):
            yield from _leaves((*path, name), value[name], action)
    elif isinstance(value, (list, tuple)) and value:
        for index, item in enumerate(value):
            yield from _leaves((*path, index), item, action)
    elif isinstance(value, (Mapping, list, tuple)):
        yield path, {} if isinstance(value, Mapping) else []
    elif value is None or isinstance(value, (bool, int, str)) or _is_finite(value):
        yield path, value
    else:
        raise _not_json(path, f"{value!r} ({type(value).__name__})", action)


def _is_finite(value: Any) -> bool:
    return isinstance(value, float) and math.isfinite(value)


def _not_json(path: FieldPath, what: str, action: str) -> ModelbuildError:
    name = ".".join(str(part) for part in path)
    return ModelbuildError(
        f"{name} of action {action} is not JSON: {what}",
        why="parameters enter the key and cross to a worker as JSON",
        exit_code=1,
    )
