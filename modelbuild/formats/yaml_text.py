"""YAML inside containers: plain values only, with bounds on size, depth, events and what aliases unfold to.

No tag makes an object: tags that are not YAML's own are counted, and their values read as plain ones.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import yaml

from modelbuild.errors import ModelbuildError

Yaml = None | bool | int | float | str | list["Yaml"] | dict[str, "Yaml"]
MAX_BYTES = 64 << 20
MAX_DEPTH = 64
MAX_EVENTS = 300_000
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_CORE = "tag:yaml.org,2002:"
_PLAIN_TAGS = {_CORE + name for name in ("str", "int", "float", "bool", "null", "seq", "map")}
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")
_FLOAT = re.compile(r"[-+]?([0-9]{1,40}\.[0-9]{0,40}|\.[0-9]{1,40})([eE][-+][0-9]{1,4})?")  # as in YAML 1.1
_WORDS: dict[str, Yaml] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON"), True),
    **dict.fromkeys(("false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf"), float("inf")),
    "-.inf": float("-inf"),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}


@dataclass(frozen=True)
class Loaded:
    """The documents of a stream. Aliases are the same object twice; with each unfolded, there are `nodes`
    values. `tags` counts the tags that are not YAML's own."""

    documents: tuple[Yaml, ...]
    nodes: int
    aliases: int
    tags: dict[str, int]


@dataclass
class _Open:
    """A collection that has not ended yet. `key` waits for its value."""

    value: list[Yaml] | dict[str, Yaml]
    anchor: str | None
    weight: int = 1
    key: str | None = None


@dataclass
class _State:
    name: str
    stack: list[_Open] = field(default_factory=list)
    documents: list[Yaml] = field(default_factory=list)
    anchors: dict[str, tuple[Yaml, int]] = field(default_factory=dict)
    tags: Counter[str] = field(default_factory=Counter)
    aliases: int = 0
    nodes: int = 0


def load(data: bytes, name: str, *, events: int = MAX_EVENTS) -> Loaded:
    """The documents of a stream of at most `events` events, and as many values once aliases are unfolded.

    Errors: ModelbuildError naming `name` for what is not YAML in UTF-8, keys that come twice or are no
    scalars, aliases inside their own anchor, and whatever is beyond the bounds.
    """
    if len(data) > MAX_BYTES:
        raise _bad(name, f"it has {len(data)} bytes, more than {MAX_BYTES}")
    state = _State(name)
    try:
        for number, event in enumerate(_events(data), start=1):
            if number > events:
                raise _bad(name, f"it has more than {events} events")
            _take(state, event, events)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise _bad(name, reason(error)) from None
    return Loaded(tuple(state.documents), state.nodes, state.aliases, dict(sorted(state.tags.items())))


def reason(error: Exception) -> str:
    """What a YAML library says is wrong, in one line, with its line and column in the document."""
    if isinstance(error, RecursionError):
        return "it nests too deep"
    mark = getattr(error, "problem_mark", None)
    said = getattr(error, "problem", None) or str(error)
    place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    return place + " ".join(str(said).split())[:200]


def _events(data: bytes) -> Iterator[yaml.Event]:
    yield from yaml.parse(data.decode("utf-8"), Loader=_LOADER)


def _take(state: _State, event: yaml.Event, limit: int) -> None:
    match event:
        case yaml.ScalarEvent():
            _add(state, _scalar(state, event), 1, event.anchor, limit)
        case yaml.AliasEvent():
            anchor = event.anchor or ""
            if anchor not in state.anchors:
                raise _bad(state.name, f"the alias {anchor[:40]!r} has no anchor before it")
            state.aliases += 1
            _add(state, *state.anchors[anchor], None, limit)
        case yaml.SequenceStartEvent() | yaml.MappingStartEvent():
            if len(state.stack) == MAX_DEPTH:
                raise _bad(state.name, f"it nests deeper than {MAX_DEPTH} levels")
            _count_tag(state, event.tag)
            empty: list[Yaml] | dict[str, Yaml] = {} if isinstance(event, yaml.MappingStartEvent) else []
            state.stack.append(_Open(empty, event.anchor))
        case yaml.SequenceEndEvent() | yaml.MappingEndEvent():
            done = state.stack.pop()
            _add(state, done.value, done.weight, done.anchor, limit)
        case _:
            state.anchors.clear()  # those of one document


def _add(state: _State, value: Yaml, weight: int, anchor: str | None, limit: int) -> None:
    """Put a finished value where it belongs."""
    if anchor is not None:
        state.anchors[anchor] = (value, weight)
    if not state.stack:
        state.documents.append(value)
        state.nodes += weight
        return
    above = state.stack[-1]
    above.weight += weight
    if above.weight > limit:
        raise _bad(state.name, f"its aliases unfold to more than {limit} values")
    if isinstance(above.value, list):
        above.value.append(value)
    elif above.key is None:
        above.key = _key(state, value)
        if above.key in above.value:
            raise _bad(state.name, f"the key {above.key[:80]!r} comes twice")
    else:
        above.value[above.key] = value
        above.key = None


def _key(state: _State, value: Yaml) -> str:
    if isinstance(value, list | dict):
        raise _bad(state.name, "a key is a collection")
    return value if isinstance(value, str) else repr(value)


def _scalar(state: _State, event: yaml.ScalarEvent) -> Yaml:
    _count_tag(state, event.tag)
    tag = event.tag
    told = tag is not None and tag != "!"
    if (told and tag in _PLAIN_TAGS and tag != _CORE + "str") or (not told and event.implicit[0]):
        return _resolved(event.value)
    return event.value


def _resolved(text: str) -> Yaml:
    """An unquoted scalar by what it looks like; long numbers stay text."""
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text


def _count_tag(state: _State, tag: str | None) -> None:
    if tag is not None and tag != "!" and tag not in _PLAIN_TAGS and len(state.tags) < 64:
        state.tags[tag[:80]] += 1


def _bad(name: str, why: str) -> ModelbuildError:
    return ModelbuildError(f"{name} is not YAML as it can be read", where=name, why=why)
