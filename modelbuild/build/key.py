"""An action's key and the explanation of its change, both from one list of fields."""

from __future__ import annotations

import math
import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from modelbuild.build import canonical
from modelbuild.build.action import Action
from modelbuild.errors import ModelbuildError

FieldPath = tuple[str | int, ...]
Fields = list[tuple[FieldPath, Any]]


@dataclass(frozen=True)
class Change:
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
        return {**asdict(self), "path": list(self.path), "field": self.field}


def fields(action: Action, digests: Mapping[str, str]) -> Fields:
    """Everything that decides an action's outputs, a leaf a row; `digests` is role -> digest.

    The paths are tuples with names for mappings and numbers for lists, so that no two different actions give
    one list. Raises ModelbuildError (exit 1) if a parameter is not JSON.
    """
    rows = _rows(action, action.function, digests)
    paths = action.paths()
    rows += [(("suffixes", role), posixpath.splitext(path)[1].lower()) for role, path in paths.items()]
    if action.discover is not None and len(paths) > 1:  # one base names what all of them found
        rows += [(("folders", role), posixpath.dirname(path)) for role, path in paths.items()]
    return rows


def discovery_fields(action: Action, digests: Mapping[str, str]) -> Fields:
    """Everything that decides which files an action's `discover` function finds.

    That is also where its files lie: equal bytes in two folders name the files beside each.
    """
    rows = _rows(action, f"discover {action.discover}", digests)
    return rows + [(("paths", role), path) for role, path in action.paths().items()]


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


def _rows(action: Action, function: str, digests: Mapping[str, str]) -> Fields:
    rows: Fields = [(("function",), function), (("version",), action.version)]
    rows += _leaves(("parameters",), action.parameters, action.name)
    rows += [(("inputs", role), digests[role]) for role in sorted(digests)]
    rows.append((("toolchain",), action.toolchain))
    rows += [(("libraries", name), action.libraries[name]) for name in sorted(action.libraries)]
    return rows


def _leaves(path: FieldPath, value: Any, action: str) -> Iterator[tuple[FieldPath, Any]]:
    if isinstance(value, Mapping) and value:
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
