"""An action's key and the explanation of its change, both from one list of fields."""

from __future__ import annotations

import math
import posixpath
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from functools import lru_cache
from typing import Any, Literal, NamedTuple

from modelbuild.build import canonical
from modelbuild.build.action import Action
from modelbuild.errors import ModelbuildError

FieldPath = tuple[str | int, ...]
_Row = tuple[FieldPath, Any]
Fields = list[_Row]


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


class Part(NamedTuple):
    """Some fields that follow one another, and their canonical form without the brackets; `value` is the
    parameter, called `name`, whose leaves they are."""

    rows: Fields
    text: bytes
    name: str = ""
    value: Any = None


Parts = tuple[Part, ...]


class Walks:
    """What actions of one build share, such as a chip's recipe: each is walked and written once.

    Parameters are known by their identity, so they must not change while this lasts."""

    def __init__(self) -> None:
        self._parameters: dict[tuple[str, int], Part] = {}
        self._rows: dict[tuple[_Row, ...], Part] = {}

    def of(self, name: str, value: Any, action: str) -> Part:
        """The leaves of the parameter `name`."""
        if value is None or isinstance(value, bool):
            return self.of_rows((("parameters", name), value))
        if not isinstance(value, (dict, list, tuple)):
            return _part(_leaves(("parameters", name), value, action))
        known = self._parameters.get((name, id(value)))
        if known is None:
            known = _part(_leaves(("parameters", name), value, action))._replace(name=name, value=value)
            self._parameters[name, id(value)] = known
        return known

    def foresee(self, actions: Iterable[Action]) -> None:
        """Walks the parameters of actions to come; what is wrong with one is told when its key is asked
        for."""
        for action in actions:
            with suppress(ModelbuildError):
                for name, value in action.parameters.items():
                    self.of(name, value, action.name)

    def of_rows(self, *rows: _Row) -> Part:
        """Rows of few values, none of them a number: 1 and True are equal in Python."""
        known = self._rows.get(rows)
        if known is None:
            known = self._rows[rows] = _part(rows)
        return known


def rows_of(parts: Parts) -> Fields:
    """All fields."""
    return [row for part in parts for row in part.rows]


def text_of(parts: Parts) -> bytes:
    """The canonical form of all fields: that of a list is those of its parts between commas."""
    return b"[" + b",".join([part.text for part in parts]) + b"]"


def keyed(action: Action, digests: Mapping[str, str], walks: Walks) -> tuple[str, Parts]:
    """The key, and everything that decides an action's outputs, a leaf a row; `digests` is role -> digest.

    The rows' paths are tuples with names for mappings and numbers for lists, so that no two different actions
    give one list. Raises ModelbuildError (exit 1) if a parameter is not JSON.
    """
    paths = action.paths()
    suffixes = [(("suffixes", role), posixpath.splitext(path)[1].lower()) for role, path in paths.items()]
    more = [walks.of_rows(*suffixes)] if suffixes else []
    if action.discover is not None and len(paths) > 1:  # one base names what all of them found
        more.append(_part((("folders", role), posixpath.dirname(path)) for role, path in paths.items()))
    return _keyed((*_parts(action, action.function, digests, walks), *more))


def keyed_discovery(action: Action, digests: Mapping[str, str], walks: Walks) -> tuple[str, Parts]:
    """As `keyed`, of what decides which files an action's `discover` function finds.

    That is also where its files lie: equal bytes in two folders name the files beside each.
    """
    parts = tuple(_parts(action, f"discover {action.discover}", digests, walks))
    paths = action.paths()
    return _keyed(
        (*parts, _part((("paths", role), path) for role, path in paths.items())) if paths else parts
    )


def fields(action: Action, digests: Mapping[str, str]) -> Fields:
    """The rows of `keyed`."""
    return rows_of(keyed(action, digests, Walks())[1])


def discovery_fields(action: Action, digests: Mapping[str, str]) -> Fields:
    """The rows of `keyed_discovery`."""
    return rows_of(keyed_discovery(action, digests, Walks())[1])


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


def _parts(action: Action, function: str, digests: Mapping[str, str], walks: Walks) -> Iterator[Part]:
    yield walks.of_rows((("function",), function), (("version",), action.version))
    if not isinstance(action.parameters, Mapping) or not all(
        isinstance(name, str) for name in action.parameters
    ):
        raise _not_json(("parameters",), "a mapping whose keys are not all text", action.name)
    if not action.parameters:
        yield _part([(("parameters",), {})])
    for name in sorted(action.parameters):
        yield walks.of(name, action.parameters[name], action.name)
    if digests:
        yield _inputs(digests)
    libraries = [(("libraries", name), action.libraries[name]) for name in sorted(action.libraries)]
    yield walks.of_rows((("toolchain",), action.toolchain), *libraries)


def _part(rows: Iterable[_Row]) -> Part:
    listed = list(rows)
    return Part(listed, canonical.encode(listed)[1:-1])


def _inputs(digests: Mapping[str, str]) -> Part:
    """Digests are no JSON's to escape, and roles are few."""
    roles = sorted(digests)
    text = ",".join([f'[["inputs",{_quoted(role)}],"{digests[role]}"]' for role in roles])
    return Part([(("inputs", role), digests[role]) for role in roles], text.encode("ascii"))


@lru_cache(maxsize=10_000)
def _quoted(role: str) -> str:
    return canonical.encode(role).decode("ascii")


def _keyed(parts: Parts) -> tuple[str, Parts]:
    return canonical.sha256(text_of(parts)), parts


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
