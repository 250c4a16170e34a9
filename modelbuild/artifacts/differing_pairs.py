"""Which models of two files belong together, and what those that changed their id are called in both."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

Models = Sequence[Mapping[str, Any]]
_NUMBERED = re.compile(r"\bmodel (\d+)\b")


def pairs(a: Models, b: Models) -> list[tuple[int | None, int | None]]:
    """Places in `a` and `b`: a single one each, else by id, else by name; the rest stand alone."""
    if len(a) == len(b) == 1:
        return [(0, 0)]
    left = list(range(len(b)))
    found: dict[int, int] = {}
    for key in ("id", "name"):
        for place, model in enumerate(a):
            match = next((i for i in left if model[key] is not None and b[i][key] == model[key]), None)
            if place not in found and match is not None:
                found[place] = match
                left.remove(match)
    together = [(place, found.get(place)) for place in range(len(a))]
    return [*together, *((None, place) for place in left)]


def new_ids(a: Models, b: Models) -> dict[int, int]:
    """Ids in `b` -> those that the same models have in `a`, where they are others."""
    taken = {model["id"] for model in b}
    return {
        b[second]["id"]: a[first]["id"]
        for first, second in pairs(a, b)
        if first is not None
        and second is not None
        and None not in (a[first]["id"], b[second]["id"])
        and a[first]["id"] not in taken
    }


def called(text: str, ids: Mapping[int, int]) -> str:
    """The text with `model 7` as the first file calls that model."""
    if not ids:
        return text
    return _NUMBERED.sub(lambda found: f"model {_first_id(found[1], ids)}", text)


def _first_id(number: str, ids: Mapping[int, int]) -> str | int:
    return ids.get(int(number), number) if len(number) < 20 else number  # longer ones are no ids


def called_alike(described: Mapping[str, Any], ids: Mapping[int, int]) -> dict[str, Any]:
    """The object of `inspect` with what its checksums, checks and parts are about called so."""
    lists = ("checksums", "checks", "parts")
    return {
        **described,
        **{
            key: [{**item, "what": called(item["what"], ids)} for item in described[key]]
            for key in lists
            if key in described
        },
    }
