"""A vendor's option of quantization: the name its users know, and what it is in our own words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Json = Any


@dataclass(frozen=True)
class Said:
    """Our settings, by dotted path from the settings' root. `implied` ones give way to what is written beside
    them: a vendor's own defaults, where the vendor's names are used."""

    written: Mapping[str, Json] = field(default_factory=dict)
    implied: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True)
class NotBuilt(Exception):
    """A value that has no counterpart here. `advice` says what does the like, if anything does."""

    advice: str = ""


@dataclass(frozen=True)
class Knob:
    """One row of docs/knobs.md. `missing` are the values (or examples of them) that end in an error."""

    name: str
    default: Json  # the vendor's own
    ours: str  # the key that it is, or what does the like
    said: Callable[[Json], Said]
    examples: tuple[Json, ...] = ()
    missing: tuple[Json, ...] = ()


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
