"""The objects of `inspect` and `diff` as one HTML page without scripts or anything to load."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from modelbuild import output_file, whole_file
from modelbuild.artifacts import differing_text
from modelbuild.artifacts.columns import printable
from modelbuild.artifacts.tree import cell, is_flat, keys_of, render, verdict
from modelbuild.errors import ModelbuildError
from modelbuild.report import text
from modelbuild.resources import folder

BEGINNING = b"<!DOCTYPE html>\n<!-- modelbuild: what a file holds -->\n"
_FIRST = ("checksums", "checks", "models", "parts", "unpacked")  # in sections of their own
_MAP_WIDTH = 1000  # units of the picture of the bytes
_MOST = 4000  # rows of a table: browsers show no more in useful time
_DEEPEST = 24
_IN_A_LINE = 4  # keys of an object that is shown in a line


def page(described: Mapping[str, Any], name: str) -> str:
    """The page of an object of `inspect`; `name` is what the file is called. Equal objects, equal texts."""
    return (
        _environment()
        .get_template("inspect/page.html.j2")
        .render(
            found=described,
            name=name,
            facts={key: value for key, value in described.items() if key not in _FIRST},
            bytes=byte_map(described.get("parts", ()), described["size"]),
            tree=render(described),
            verdict=verdict(described).rstrip(),
        )
    )


def page_of_diff(found: Mapping[str, Any]) -> str:
    """The page of an object of `diff`."""
    tree = differing_text.render(found)
    return _environment().get_template("inspect/diff.html.j2").render(found=found, tree=tree)


def write(path: Path, content: str) -> None:
    """The page as a file. Raises ModelbuildError (exit 2) where another file than such a page, or none of
    ours, lies there, and where the folder or the disk refuses."""
    check_place(path)
    whole_file.write(path, content.encode("utf-8", "backslashreplace"))


def check_place(path: Path) -> None:
    """That a page may be written there."""
    if output_file.check(path, "--html"):
        return
    try:
        if not path.exists():
            return
        with path.open("rb") as stream:
            head = stream.read(len(BEGINNING))
    except OSError as error:
        raise ModelbuildError(
            f"--html {path.name} cannot be written",
            where=str(path),
            why=error.strerror or str(error),
            advice="name a file that you may read and write",
        ) from None
    if head not in (b"", BEGINNING):
        raise ModelbuildError(
            f"--html would overwrite a file that is no such page: {path.name}",
            where=str(path),
            advice="name another file, or remove that one",
        )


def byte_map(parts: Iterable[Mapping[str, Any]], size: int) -> list[dict[str, Any]]:
    """Bars {x, width, row, kind, title} of the parts that are seen: one inside another lies a row below.

    Neighbours that are narrower than a unit are one bar, unknown if any of them is."""
    bars: list[dict[str, Any]] = []
    ends: list[int] = []
    for part in parts if size else ():
        while ends and part["offset"] >= ends[-1]:
            ends.pop()
        row = min(len(ends), 3)
        ends.append(part["offset"] + part["size"])
        _draw(bars, part, row, size)
    return bars


def _draw(bars: list[dict[str, Any]], part: Mapping[str, Any], row: int, size: int) -> None:
    x = _MAP_WIDTH * part["offset"] / size
    width = _MAP_WIDTH * part["size"] / size
    kind = "padding" if part["what"] == "padding" else "known" if part["known"] else "unknown"
    last = next((bar for bar in reversed(bars) if bar["row"] == row), None)
    if last is not None and width < 1 and last["narrow"] and x < last["x"] + 1:
        last["title"] = f"{last['title'].split(' and ')[0]} and {last['more'] + 1} more"
        last["more"] += 1
        last["kind"] = "unknown" if "unknown" in (kind, last["kind"]) else last["kind"]
        return
    title = f"{part['what']}: {part['size']} bytes at 0x{part['offset']:x}"
    bars.append(
        {
            "x": round(x, 2),
            "width": round(max(width, 1), 2),
            "row": row,
            "kind": kind,
            "title": printable(title),
            "narrow": width < 1,
            "more": 0,
        }
    )


def rows(items: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """{keys, rows, left} of a list of flat objects: the texts of a table."""
    keys = keys_of(items)
    shown = items[:_MOST]
    return {
        "keys": [key.replace("_", " ") for key in keys],
        "rows": [
            {
                "bad": item.get("ok") is False or item.get("known") is False,
                "cells": [cell(key, item.get(key)) for key in keys],
            }
            for item in shown
        ],
        "left": len(items) - len(shown),
    }


def form(value: Any, depth: int = 0) -> str:
    """How a value is shown: `nothing`, `mapping`, `table`, `list` or `text`; beyond a depth all is text."""
    if value is None or (isinstance(value, str | list | Mapping) and not value):
        return "nothing"
    if depth < _DEEPEST and isinstance(value, Mapping):
        return "text" if is_flat(value) and len(value) <= _IN_A_LINE else "mapping"
    if depth < _DEEPEST and isinstance(value, list) and all(isinstance(item, Mapping) for item in value):
        return "table" if all(map(is_flat, value)) else "list"
    return "text"


def _cell(value: Any, key: str) -> str:
    return cell(key, value)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(folder("templates")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update({"cell": _cell, "size": text.size})
    environment.filters["printable"] = lambda value: printable(str(value))
    environment.globals.update({"rows": rows, "form": form, "beginning": BEGINNING.decode()})
    return environment
