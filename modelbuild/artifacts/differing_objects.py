"""Where two JSON objects differ, key by key."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

# What an element of a list goes by, the first that every element of both lists has.
_NAMES = ("id", "name", "what", "index", "key", "sequence")


class Different(NamedTuple):
    """A key, as `members[a.txt].size`, and what each object has there: null for nothing."""

    key: str
    a: Any
    b: Any


def differences(a: Any, b: Any, skip: frozenset[str] = frozenset(), key: str = "") -> Iterator[Different]:
    """The keys, down to what is no object, whose values are not the same; those in `skip` are passed over at
    any depth. Elements of lists are paired by what they go by, or else by their place."""
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        for name in [*a, *(name for name in b if name not in a)]:
            if name not in skip:
                inner = f"{key}.{name}" if key else str(name)
                yield from differences(a.get(name), b.get(name), skip, inner)
    elif _objects(a) and _objects(b) and (a or b):
        for name, first, second in paired(a or [], b or []):
            yield from _element(f"{key}[{name}]", first, second, skip)
    elif _unlike(a, b):
        yield Different(key, a, b)


def paired(a: Sequence[Any], b: Sequence[Any]) -> list[tuple[str, Any, Any]]:
    """(name, element of a, element of b), None where there is none: those of `a` in their order, and then
    those that `b` alone has. Equal names are told apart by numbers."""
    name = _going_by(a, b)
    first, second = _named(a, name), _named(b, name)
    return [
        *((label, item, second.get(label)) for label, item in first.items()),
        *((label, None, item) for label, item in second.items() if label not in first),
    ]


def _element(key: str, a: Any, b: Any, skip: frozenset[str]) -> Iterator[Different]:
    """Of an element that only one side has: one line, however much is in it."""
    if a is None or b is None:
        yield Different(key, _shown(a, skip), _shown(b, skip))
    else:
        yield from differences(a, b, skip, key)


def _shown(value: Any, skip: frozenset[str]) -> Any:
    if isinstance(value, Mapping):
        return {name: _shown(item, skip) for name, item in value.items() if name not in skip}
    return [_shown(item, skip) for item in value] if isinstance(value, list) else value


def _objects(value: Any) -> bool:
    """Whether it is a list of objects, or nothing."""
    return value is None or (isinstance(value, list) and all(isinstance(item, Mapping) for item in value))


def _unlike(a: Any, b: Any) -> bool:
    """JSON's view: 1 and 1.0 are one number, true and 1 are not."""
    return a != b or isinstance(a, bool) != isinstance(b, bool)


def _going_by(a: Sequence[Any], b: Sequence[Any]) -> str | None:
    items = [*a, *b]
    return next((name for name in _NAMES if all(item.get(name) not in (None, "") for item in items)), None)


def _named(items: Sequence[Any], name: str | None) -> dict[str, Any]:
    seen = Counter[str]()
    found: dict[str, Any] = {}
    for index, item in enumerate(items):
        label = str(index) if name is None else str(item[name])
        unique = label
        while unique in found:
            seen[label] += 1
            unique = f"{label}#{seen[label] + 1}"
        found[unique] = item
    return found
