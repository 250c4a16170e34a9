"""The object of `inspect` as a tree of text, with lists of alike objects as tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from modelbuild.artifacts.columns import columns, printable, shortened, width
from modelbuild.artifacts.wording import worded

_MAX_LINE = 100
_MAX_ROWS = 24  # of a list, beyond which the first are shown, and those where something is wrong or unknown
_ASKED = frozenset({"node_list"})  # lists that an option asked for: they are shown whole
# Mappings whose keys are names out of the file, not words of ours
_NAMED = frozenset(
    {
        *("operators", "operator_versions", "opset", "domains", "metadata", "types", "zero_point_types"),
        *("parameter_types", "tensors", "constants", "methods", "corrections", "unknown_tags"),
    }
)
_NAMES = 3  # of checks that the line at the end names
_LONGEST = 160  # characters of a text, beyond which it is cut
_LAST = ("sha256", "why")  # columns that are long
_PLAIN = frozenset({"name", "what", "shape", "dtype", "layout"})  # said without their key


def render(described: Mapping[str, Any], whole: bool = False) -> str:
    """One line a value, two spaces a level; a table for a list of objects; empty values are left out; ends in
    a newline. Lists of more than _MAX_ROWS are cut, with a count, unless `whole`."""
    return "\n".join(_mapping(described, "", None if whole else _MAX_ROWS)) + "\n"


def verdict(described: Mapping[str, Any]) -> str:
    """What is not ok, as a line; empty where all is."""
    told = []
    for key in ("checksums", "checks"):
        items = described.get(key) or ()
        bad = [str(item["what"]) for item in items if not item["ok"]]
        if bad:
            more = f" and {len(bad) - _NAMES} more" if len(bad) > _NAMES else ""
            names = "; ".join(map(printable, bad[:_NAMES]))
            told.append(f"{len(bad)} of {len(items)} {key} ({names}{more})")
    return f"not ok: {', '.join(told)}\n" if told else ""


def _mapping(values: Mapping[str, Any], indent: str, most: int | None, named: bool = False) -> Iterable[str]:
    for key, value in values.items():
        if key == "checksums" and value == [] and not indent:
            yield "checksums: none"
        elif not _empty(key, value):
            yield from _entry(key, value, indent, most, named)


def _empty(key: str, value: Any) -> bool:
    if key == "shape":  # of a scalar it is empty, and where nobody tells it, null
        return False
    return value is None or (isinstance(value, str | list | Mapping) and not value)


def _entry(key: str, value: Any, indent: str, most: int | None, named: bool) -> Iterable[str]:
    label = printable(key if named else key.replace("_", " "))
    if isinstance(value, Mapping):
        line = _inline(value, key in _NAMED)
        if len(indent) + width(label) + width(line) < _MAX_LINE and not _nested(value):
            yield f"{indent}{label}: {line}"
        else:
            yield f"{indent}{label}:"
            yield from _mapping(value, indent + "  ", most, key in _NAMED)
    elif isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
        yield f"{indent}{label}:{_count(value)}"
        yield from _items(value, indent + "  ", None if key in _ASKED else most)
    else:
        yield from _wrapped(f"{indent}{label}: ", key, value, indent, most)


def _wrapped(head: str, key: str, value: Any, indent: str, most: int | None) -> Iterable[str]:
    """A value on a line; a list of texts that is too long for one on as many lines."""
    text = _scalar(key, value)
    if not isinstance(value, list) or width(head) + width(text) <= _MAX_LINE:
        is_cut = most is not None and len(text) > _LONGEST
        yield head + (f"{text[:_LONGEST]}… {len(text)} characters (-v shows all)" if is_cut else text)
        return
    yield head.rstrip()
    yield from shortened([f"{indent}  {_scalar('', item)}" for item in value], most, f"{indent}  ")


def _count(items: Sequence[Any]) -> str:
    """How many there are, where that is not seen at once, and how many are wrong or unknown."""
    if len(items) <= _MAX_ROWS and not any(map(_stands_out, items)):
        return ""
    bad = [sum(item.get(key) is False for item in items if isinstance(item, Mapping)) for key in _BAD]
    told = [f"{count} {word}" for count, word in zip(bad, _BAD.values(), strict=True) if count]
    return " " + ", ".join([str(len(items)), *told])


_BAD = {"ok": "not ok", "known": "unknown"}


def _stands_out(item: Any) -> bool:
    return isinstance(item, Mapping) and any(item.get(key) is False for key in _BAD)


def _items(values: Sequence[Any], indent: str, most: int | None) -> Iterable[str]:
    """The elements of a list: a table where all are flat, else each under its name."""
    places = _chosen(values, most)
    shown = [values[place] for place in places]
    if all(isinstance(item, Mapping) and not _nested(item) for item in shown):
        yield from (f"{indent}{line}" for line in _table(shown))
    else:
        for place, item in zip(places, shown, strict=True):
            yield from _item(item, place, indent, most)
    if len(shown) < len(values):
        yield f"{indent}… {len(values) - len(shown)} more (-v shows all)"


def _chosen(values: Sequence[Any], most: int | None) -> list[int]:
    """The places of the elements to show: what stands out comes before what merely comes first."""
    if most is None or len(values) <= most:
        return list(range(len(values)))
    ranked = sorted(range(len(values)), key=lambda place: (not _stands_out(values[place]), place))
    return sorted(ranked[: most - 1])


def _table(items: Sequence[Mapping[str, Any]]) -> list[str]:
    """A column a key that any of them has a value for, with a line of keys above."""
    keys = keys_of(items)
    rows = [[cell(key, item.get(key)) for key in keys] for item in items]
    return columns([[key.replace("_", " ") for key in keys], *rows]) if keys else ["-"] * len(items)


def keys_of(items: Sequence[Mapping[str, Any]]) -> list[str]:
    """The keys that any of the objects has a value for: a table's columns, digests and reasons last."""
    valued = {key for item in items for key, value in item.items() if not _empty(key, value)}
    found = [key for key in dict.fromkeys(key for item in items for key in item) if key in valued]
    return [*(key for key in found if key not in _LAST), *(key for key in _LAST if key in found)]


def cell(key: str, value: Any) -> str:
    """The text of a value in a table or behind its key; empty where there is none."""
    if _empty(key, value):
        return ""
    return _inline(value, key in _NAMED) if isinstance(value, Mapping) else _scalar(key, value)


def is_flat(value: Mapping[str, Any]) -> bool:
    """Whether an object fits into a line of a table."""
    return not _nested(value)


def _item(value: Any, index: int, indent: str, most: int | None) -> Iterable[str]:
    """An element of a list under its name, or its place."""
    if not isinstance(value, Mapping):
        yield f"{indent}{_scalar('', value)}"
        return
    heads = [
        f"{key} {_scalar(key, value[key])}"
        for key in ("id", "name", "version")
        if value.get(key) not in (None, "")
    ]
    yield f"{indent}{', '.join(heads) or f'[{index}]'}"
    rest = {key: item for key, item in value.items() if key not in ("id", "name", "version")}
    yield from _mapping(rest, indent + "  ", most)


def _nested(value: Mapping[str, Any]) -> bool:
    lists = (item for item in value.values() if isinstance(item, list))
    return any(isinstance(item, Mapping) and item for item in value.values()) or any(
        isinstance(element, Mapping) for item in lists for element in item
    )


def _inline(value: Mapping[str, Any], named: bool) -> str:
    return ", ".join(
        _scalar(key, item)
        if key in _PLAIN and not named
        else f"{printable(key if named else key.replace('_', ' '))} {_scalar(key, item)}"
        for key, item in value.items()
        if not _empty(key, item)
    )


def _scalar(key: str, value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = worded(key, value)
    if text is not None:
        return text
    if isinstance(value, list):
        return ", ".join(_scalar("", item) for item in value)
    if isinstance(value, float):
        return f"{value:.9g}"
    if isinstance(value, Mapping):
        return f"({_inline(value, named=False)})"
    return "-" if value is None else printable(str(value).strip())
