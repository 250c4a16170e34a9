"""The text of a quantization record: encoding, and strict decoding with line numbers."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from modelbuild.errors import ModelbuildError
from modelbuild.quantize.record_sums import EDITED, TYPES, as_edited, line_sum, text_sum

TITLE = "modelbuild quantization record"
VERSION = "3"
HEADER = ("model", "arithmetic", "format", "method", "samples")
COLUMNS = ("kind", "type", "scale", "zero", "radix", "low", "high", "method", "snr", "output", "sum", "name")
WIDTHS = (11, 7, 24, 7, 6, 25, 25, 14, 7, 8, 10, 0)
DECIBELS = frozenset({"snr", "output"})
KINDS = frozenset({"input", "activation", "output", "weight"})
CORRECTIONS = frozenset({"bias", "clip", "equalize", "round"})
MOST_BYTES = 64 << 20


@dataclass(frozen=True)
class Row:
    """One line of the table; `rest` is low, high, method, snr, output."""

    name: str
    kind: str
    bits: int
    signed: bool
    scale: float | None
    zero_point: int | None
    rest: tuple[float, float, str, float | None, float | None]


@dataclass
class Parsed:
    """What a text holds."""

    header: dict[str, str] = field(default_factory=dict)
    samples: int = 0
    rows: list[Row] = field(default_factory=list)
    corrections: dict[str, dict[str, tuple[int, ...]]] = field(default_factory=dict)
    edited: set[str] = field(default_factory=set)  # corrections: kind, tensor, channel of `round`
    rounded: dict[str, list[int]] = field(default_factory=dict)  # tensor -> channel, bits, channel, bits ...


def encode(
    header: Mapping[str, str],
    rows: Iterable[Sequence[object]],
    corrections: Mapping[str, Mapping[str, tuple[int, ...]]],
    edited: frozenset[str] = frozenset(),
) -> str:
    """Header lines, the table in columns of fixed width so that a change moves nothing else, corrections.

    `rows` lack the column `sum`; `edited` are corrections to be marked: kind, tensor, channel of `round`.
    """
    lines = [f"# {TITLE} {VERSION}"]
    lines += [f"{key}: {header[key] if key != 'model' else _quoted(header[key])}" for key in HEADER]
    lines += ["", _columns((f"# {COLUMNS[0]}", *COLUMNS[1:]))]
    lines += [_columns(_summed(row)) for row in rows]
    for kind in sorted(corrections):
        for name, values in corrections[kind].items():
            for key, numbers in _correction_lines(kind, name, values):
                line = f"correct {key}{numbers}"
                lines.append(f"{line} #{EDITED if key in edited else text_sum(line)}")
    return "\n".join(lines) + "\n"


def _summed(row: Sequence[object]) -> list[str]:
    columns = [column for column in COLUMNS if column != "sum"]
    cells = {column: _cell(column, value) for column, value in zip(columns, row, strict=True)}
    cells["sum"] = line_sum(cells)
    return [cells[column] for column in COLUMNS]


def _correction_lines(kind: str, name: str, values: tuple[int, ...]) -> list[tuple[str, str]]:
    """What a line is of, and its numbers. One line; of `round` one for each channel that has bits."""
    key = f"{kind} {_quoted(name)}"
    if kind == "round":
        pairs = zip(values[::2], values[1::2], strict=True)
        return [(f"{key} {channel}", f" {bits:x}") for channel, bits in pairs]
    return [(key, "".join(f" {value}" for value in values))]


def _columns(cells: Sequence[str]) -> str:
    return "".join(f"{cell} ".ljust(width) for cell, width in zip(cells, WIDTHS, strict=True)).rstrip()


def _cell(column: str, value: object) -> str:
    if value is None:
        return "-"
    if column in DECIBELS:
        return f"{value:.1f}"
    if column == "name":
        return _quoted(str(value))
    return repr(value) if isinstance(value, float) else str(value)


def _quoted(name: str) -> str:
    """The name itself, or a JSON string where it would not read back."""
    plain = name.isascii() and name.isprintable() and " " not in name and not name.startswith('"')
    return name if plain and name else json.dumps(name)


def load(path: Path) -> str:
    """The file's text; raises on files that cannot be a record."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ModelbuildError("this is too large for a quantization record", where=str(path))
        return path.read_bytes().decode()
    except OSError as error:
        raise ModelbuildError("cannot read the record", where=str(path), why=str(error)) from error
    except UnicodeDecodeError:
        raise ModelbuildError("this is not a quantization record", where=str(path)) from None


def decode(text: str, where: str) -> Parsed:
    """The record in `text`. Anything unknown, missing, doubled or out of range is an error with its line."""
    lines = text.split("\n")
    if lines[0].strip() != f"# {TITLE} {VERSION}":
        _fail(where, 1, f"the first line must be `# {TITLE} {VERSION}`")
    parsed = Parsed()
    seen: set[str] = set()
    for number, line in enumerate(lines[1:], 2):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        try:
            _line(parsed, seen, stripped)
        except (ValueError, KeyError) as error:
            _fail(where, number, str(error.args[0]) if error.args else "unreadable")
    if parsed.rounded:
        parsed.corrections["round"] = {name: tuple(pairs) for name, pairs in parsed.rounded.items()}
    missing = [key for key in HEADER if key not in parsed.header]
    if missing:
        _fail(where, len(lines), f"the header lacks {', '.join(missing)}")
    return parsed


def _fail(where: str, number: int, why: str) -> NoReturn:
    raise ModelbuildError("the quantization record cannot be read", where=f"{where}:{number}", why=why)


def _line(parsed: Parsed, seen: set[str], line: str) -> None:
    key, colon, value = line.partition(": ")
    if colon and key in HEADER:
        if key in parsed.header:
            raise ValueError(f"`{key}` stands twice")
        parsed.header[key] = _name(value) if key == "model" else value.strip()
        if key == "samples":
            parsed.samples = _whole(value, 0, 1 << 40)
        if key == "format":
            _check_format(value)
    elif line.startswith("correct "):
        _correction(parsed, line)
    else:
        row = _row(line)
        if row.name in seen:
            raise ValueError(f"the tensor {row.name!r} stands twice")
        seen.add(row.name)
        parsed.rows.append(row)


def _check_format(text: str) -> None:
    words = [part.partition("=") for part in text.split()]
    if [word[0] for word in words] != ["activations", "weights", "symmetric", "scale", "per_channel"]:
        raise ValueError("`format` must give activations, weights, symmetric, scale and per_channel")


def _correction(parsed: Parsed, line: str) -> None:
    line, sharp, stated = line.rpartition(" #")
    line = line if sharp else stated
    _, kind, rest = line.split(" ", 2)
    if kind not in CORRECTIONS:
        raise ValueError(f"{kind!r} is not a kind of correction")
    name, rest = _split_name(rest.lstrip())
    key = f"{kind} {_quoted(name)}"
    if kind == "round":
        key = f"{key} {_round(parsed, name, rest.split())}"
    else:
        values = tuple(_whole(word, -(1 << 47), 1 << 47) for word in rest.split())
        if name in parsed.corrections.setdefault(kind, {}):
            raise ValueError(f"the {kind} correction of {name!r} stands twice")
        parsed.corrections[kind][name] = values
    if stated != text_sum(line):
        parsed.edited.add(key)


def _round(parsed: Parsed, name: str, words: list[str]) -> int:
    """A channel, which is returned, and its bits, in hexadecimal; the channels of a tensor ascend."""
    if len(words) != 2 or not set(words[1]) <= set("0123456789abcdef"):
        raise ValueError("`correct round` takes a tensor, a channel and bits in small hexadecimal digits")
    channel, bits = _whole(words[0], 0, 1 << 30), int(words[1], 16)
    channels = parsed.rounded.setdefault(name, [])
    if channels and channel <= channels[-2]:
        raise ValueError(f"channel {channel} of {name!r} does not come after {channels[-2]}")
    channels += [channel, bits]
    return channel


def _split_name(text: str) -> tuple[str, str]:
    if text.startswith('"'):
        name, end = json.JSONDecoder().raw_decode(text)
        return str(name), text[end:]
    name, _, rest = text.partition(" ")
    return name, rest


def _row(line: str) -> Row:
    words = line.split(None, len(COLUMNS) - 1)
    if len(words) != len(COLUMNS):
        raise ValueError(f"a line of the table has {len(COLUMNS)} columns: {' '.join(COLUMNS)}")
    cells = dict(zip(COLUMNS, words, strict=True))
    cells["name"] = cells["name"].strip()
    if cells["kind"] not in KINDS:
        raise ValueError(f"{cells['kind']!r} is not one of {', '.join(sorted(KINDS))}")
    signed = not cells["type"].startswith("u")
    if cells["type"] not in TYPES:
        raise ValueError(f"{cells['type']!r} is not a type")
    bits = int(cells["type"].removeprefix("u").removeprefix("int"))
    scale: float | None = _optional(cells["scale"], _real)
    if scale is not None and not scale > 0:
        raise ValueError(f"the scale {cells['scale']} is not above 0")
    low = -(1 << (bits - 1)) if signed else 0
    zero = _optional(cells["zero"], lambda word: _whole(word, low, low + (1 << bits) - 1))
    if (scale is None or zero is None) and cells["kind"] != "weight":
        raise ValueError("scale and zero point are needed for all but weights")
    name = _name(cells["name"])
    if cells["sum"] != line_sum(cells):
        cells = as_edited(cells)
    rest = (
        _real(cells["low"]),
        _real(cells["high"]),
        cells["method"],
        _optional(cells["snr"], _real),
        _optional(cells["output"], _real),
    )
    return Row(name, cells["kind"], bits, signed, scale, zero, rest)


def _name(text: str) -> str:
    text = text.strip()
    return str(json.loads(text)) if text.startswith('"') else text


def _optional(word: str, read: Callable[[str], Any]) -> Any:
    return None if word == "-" else read(word)


def _real(word: str) -> float:
    try:
        value = float(word)
    except ValueError:
        raise ValueError(f"{word!r} is not a number") from None
    if not math.isfinite(value):
        raise ValueError(f"{word!r} is not a finite number")
    return value


def _whole(word: str, low: int, high: int) -> int:
    try:
        value = int(word)
    except ValueError:
        raise ValueError(f"{word.strip()!r} is not a whole number") from None
    if not low <= value <= high:
        raise ValueError(f"{value} is outside {low}...{high}")
    return value
