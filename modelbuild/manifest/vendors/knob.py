"""A vendor's option: the name its users know, and what it is in our own words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Json = Any
Path = str | tuple[str, ...]


@dataclass(frozen=True)
class Said:
    """Our settings, by path from the settings' root, dotted or in steps. `implied` ones give way to what is
    written beside them: a vendor's own defaults, where the vendor's names are used."""

    written: Mapping[Path, Json] = field(default_factory=dict)
    implied: Mapping[Path, Json] = field(default_factory=dict)


@dataclass(frozen=True)
class NotBuilt(Exception):
    """A value that has no counterpart here. `advice` says what does the like, if anything does."""

    advice: str = ""


@dataclass(frozen=True)
class Senseless(Exception):
    """A value that says nothing, for what stands beside it or by itself. `what`: the problem where it is
    another than that the option has no meaning."""

    why: str
    advice: str = ""
    what: str = ""


@dataclass(frozen=True)
class Knob:
    """One row of docs/knobs.md. `missing` are the values (or examples of them) that end in an error. Where
    the knob goes together with others, `said` takes a mapping of the values of these and its own. `note` is
    what its users should know of the vendor's own."""

    name: str
    default: Json  # the vendor's own
    ours: str  # the key that it is, or what does the like
    said: Callable[[Json], Said]
    examples: tuple[Json, ...] = ()
    missing: tuple[Json, ...] = ()
    beside: tuple[str, ...] = ()
    note: str = ""


def key(path: str, words: Mapping[Json, Json] | None = None) -> Callable[[Json], Said]:
    """The same at `path`, in our words; a value that `words` has not is our word already."""
    return lambda value: Said({path: (words or {}).get(value, value)})


def words(table: Mapping[Json, Said]) -> Callable[[Json], Said]:
    """What each value says."""
    return lambda value: table[value]


def not_built(advice: str = "", harmless: Json = None) -> Callable[[Json], Said]:
    """No counterpart, but for the one value that asks for nothing."""

    def said(value: Json) -> Said:
        if harmless is not None and value == harmless:
            return Said()
        raise NotBuilt(advice)

    return said
