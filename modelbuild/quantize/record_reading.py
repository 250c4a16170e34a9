"""A quantization record from its text, strictly, with line numbers, within bounds of time and memory."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import NoReturn

from modelbuild.errors import ModelbuildError
from modelbuild.quantize.number_format import SCALES_OF
from modelbuild.quantize.record_places import line_of_correction, line_of_tensor
from modelbuild.quantize.record_sums import (
    EDITED,
    FORMAT,
    KINDS,
    LINES,
    MODEL,
    TYPES,
    Refused,
    as_edited,
    line_sum,
    sum_of_found,
    sum_of_lines,
    text_sum,
)
from modelbuild.quantize.record_text import COLUMNS, HEADER, ROUND, TITLE, VERSION
from modelbuild.quantize.record_words import (
    Unreadable,
    name_and_rest,
    optional,
    real,
    shown,
    whole,
    whole_name,
)

BEFORE = "4"  # the version whose lines have no sum of what was found
CORRECTIONS = frozenset({"bias", "clip", "equalize", "split", ROUND})
AGAIN = "or quantize again without `record:`"
CUT = f"the file was cut off: its last line, `{LINES}: ...`, is missing", "take the whole file"
MOST_BYTES = 16 << 20  # the bits of 64 million weights that are rounded are as much
SCALES = (2.0**-200, 2.0**127)  # those of ranges of float32, and of half its smallest; any form has both
MOST_LINES = 1 << 17  # a line is a tensor, or a channel that is rounded
MOST_NUMBERS = 1 << 20  # of all corrections but `round`: output channels


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

    version: str = VERSION
    header: dict[str, str] = field(default_factory=dict)
    samples: int = 0
    rows: list[Row] = field(default_factory=list)
    corrections: dict[str, dict[str, tuple[int, ...]]] = field(default_factory=dict)
    edited: set[str] = field(default_factory=set)  # lines other than the table's, as `Places` names them
    places: dict[str, int] = field(default_factory=dict)  # their numbers, and the table's
    rounded: dict[str, list[int]] = field(default_factory=dict)  # tensor -> channel, bits, channel, bits ...
    listed: list[str] = field(default_factory=list)  # the table's lines and corrections, as in `places`
    stated: tuple[int, str] | None = None  # how many there are to be, and the sum over which
    numbers: int = 0  # of corrections


def load(path: Path) -> str:
    """The file's text; raises on files that cannot be a record."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ModelbuildError(
                "this is too large for a quantization record",
                where=str(path),
                why=f"it may have {MOST_BYTES >> 20} MB",
                advice="give the `quant.txt` of a build",
            )
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ModelbuildError("cannot read the record", where=str(path), why=str(error)) from error
    except UnicodeDecodeError:
        raise ModelbuildError("this is not a quantization record", where=str(path)) from None


def decode(text: str, where: str) -> Parsed:
    """The record in `text`. Anything unknown, missing, doubled or out of range is an error with its line."""
    parsed, number = Parsed(), 0
    for number, line in enumerate(StringIO(text, newline="\n"), 1):
        stripped = line.strip()
        try:
            if number == 1:
                parsed.version = _title(stripped)
            elif number > MOST_LINES:
                raise Unreadable(f"a record has at most {MOST_LINES} lines")
            elif stripped and not stripped.startswith("#"):
                _line(parsed, stripped, number)
        except Unreadable as error:
            if number > 1 and parsed.stated is None and not line.endswith("\n"):
                _fail(where, number, *CUT)
            _fail(where, number, str(error), error.advice)
    if not number:
        _fail(where, 1, *CUT)
    _check_whole(parsed, where, number)
    if parsed.rounded:
        parsed.corrections[ROUND] = {name: tuple(pairs) for name, pairs in parsed.rounded.items()}
    return parsed


def _title(line: str) -> str:
    other = re.fullmatch(rf"# {TITLE} ([0-9]{{1,4}})", line)
    if other and other[1] in (BEFORE, VERSION):
        return other[1]
    said = f": this is a record of version {other[1]}, quantize again for one of {VERSION}" if other else ""
    raise Unreadable(f"the first line must be `# {TITLE} {VERSION}`{said}", "give the `quant.txt` of a build")


def _check_whole(parsed: Parsed, where: str, last: int) -> None:
    """Nothing that must be there may be missing; what may be is noticed."""
    missing = [key for key in HEADER if key not in parsed.header]
    if missing:
        _fail(where, last, f"the header lacks {', '.join(missing)}")
    if parsed.stated is None:
        _fail(where, last, *CUT)
    if parsed.stated != (len(parsed.listed), sum_of_lines(parsed.listed)):
        parsed.edited.add(LINES)


def _fail(where: str, number: int, why: str, advice: str = "") -> NoReturn:
    raise ModelbuildError(
        "the quantization record cannot be read",
        where=f"{where}:{number}",
        why=why,
        advice=f"{advice or 'put the line back as it was'}, {AGAIN}",
    )


def _line(parsed: Parsed, line: str, number: int) -> None:
    key, colon, _ = line.partition(": ")
    if colon and key in (*HEADER, LINES):
        if key in parsed.places:
            raise Unreadable(f"`{key}` stands twice")
        _header(parsed, key, line)
        parsed.places[key] = number
    elif line.startswith("correct "):
        key = _correction(parsed, line)
        parsed.places[key] = number
        parsed.listed.append(key)
    else:
        row = _row(line, parsed.version)
        key = line_of_tensor(row.name)
        if key in parsed.places:
            raise Unreadable(f"the tensor {shown(row.name)} stands twice")
        parsed.places[key] = number
        parsed.listed.append(key)
        parsed.rows.append(row)


def _header(parsed: Parsed, key: str, line: str) -> None:
    line, stated = _split_sum(line)
    value = line.partition(": ")[2].strip()
    if key == LINES:
        if stated != EDITED and len(stated) != len(text_sum("")):
            raise Unreadable(*CUT)
        parsed.stated = whole(value, 0, MOST_LINES), stated
        return
    if key == "samples":
        parsed.samples = whole(value, 0, 1 << 40)
    if key == FORMAT:
        _check_format(value)
    if stated != text_sum(line):
        if key not in (MODEL, FORMAT):
            raise Unreadable(f"`{key}` says how the record was made and cannot be edited")
        if key == FORMAT and stated != EDITED and stated not in map(text_sum, _other_formats(line)):
            raise Unreadable(
                "of `format` only symmetric, scale and per_channel can be edited; types are by line"
            )
        parsed.edited.add(key)
    parsed.header[key] = whole_name(value) if key == MODEL else value


def _other_formats(line: str) -> list[str]:
    """Those that an edit may have been made of: all but the types."""
    words = line.split(" ")
    if len(words) != 6:
        return []
    switches = itertools.product(("yes", "no"), SCALES_OF, ("yes", "no"))
    return [
        " ".join((*words[:3], f"symmetric={one}", f"scale={scale}", f"per_channel={other}"))
        for one, scale, other in switches
    ]


def _check_format(text: str) -> None:
    words = [part.partition("=") for part in text.split()]
    if [word[0] for word in words] != ["activations", "weights", "symmetric", "scale", "per_channel"]:
        raise Unreadable("`format` must give activations, weights, symmetric, scale and per_channel")
    if any(not word[2] or "=" in word[2] for word in words):
        raise Unreadable("each word of `format` is a name, `=` and a value")
    if any(word[2] not in ("yes", "no") for word in words if word[0] in ("symmetric", "per_channel")):
        raise Unreadable("symmetric and per_channel of `format` are `yes` or `no`")


def _split_sum(line: str) -> tuple[str, str]:
    """A line and what stands behind its last ` #`; nothing where there is none."""
    before, sharp, stated = line.rpartition(" #")
    return (before.rstrip(), stated) if sharp else (line, "")


def _correction(parsed: Parsed, line: str) -> str:
    """Reads a line `correct`; returns what it is of."""
    line, stated = _split_sum(line)
    _, _, rest = line.partition(" ")
    kind, _, rest = rest.lstrip().partition(" ")
    if kind not in CORRECTIONS:
        raise Unreadable(f"{shown(kind)} is not a kind of correction")
    name, rest = name_and_rest(rest.strip())
    if not name:
        raise Unreadable(f"`correct {kind}` lacks its tensor")
    key = line_of_correction(kind, name)
    if kind == ROUND:
        key = line_of_correction(kind, name, _round(parsed, name, rest.split(None, 2)))
    else:
        words = rest.split(None, MOST_NUMBERS)
        parsed.numbers += len(words)
        if parsed.numbers > MOST_NUMBERS:
            raise Unreadable(f"corrections of more than {MOST_NUMBERS} channels are of no model")
        values = tuple(whole(word, -(1 << 47), 1 << 47) for word in words)
        if name in parsed.corrections.setdefault(kind, {}):
            raise Unreadable(f"the {kind} correction of {shown(name)} stands twice")
        parsed.corrections[kind][name] = values
    if stated != text_sum(line):
        parsed.edited.add(key)
    return key


def _round(parsed: Parsed, name: str, words: list[str]) -> int:
    """A channel, which is returned, and its bits, in hexadecimal; the channels of a tensor ascend."""
    if len(words) != 2 or not set(words[1]) <= set("0123456789abcdef"):
        raise Unreadable("`correct round` takes a tensor, a channel and bits in small hexadecimal digits")
    channel, bits = whole(words[0], 0, 1 << 30), int(words[1], 16)
    if not bits:
        raise Unreadable(f"no bit of channel {channel} is set; take the line out")
    channels = parsed.rounded.setdefault(name, [])
    if channels and channel <= channels[-2]:
        raise Unreadable(f"channel {channel} of {shown(name)} does not come after {channels[-2]}")
    channels += [channel, bits]
    return channel


def _row(line: str, version: str) -> Row:
    words = line.split(None, len(COLUMNS) - 1)
    if len(words) != len(COLUMNS):
        columns = " ".join(COLUMNS)
        raise Unreadable(f"a line of the table has {len(COLUMNS)} columns, this has {len(words)}: {columns}")
    cells = dict(zip(COLUMNS, map(str.strip, words), strict=True))
    if cells["kind"] not in KINDS:
        raise Unreadable(f"{shown(cells['kind'])} is not one of {', '.join(KINDS)}")
    signed = not cells["type"].startswith("u")
    if cells["type"] not in TYPES:
        raise Unreadable(f"{shown(cells['type'])} is not a type", f"write one of {', '.join(TYPES)}")
    bits = int(cells["type"].removeprefix("u").removeprefix("int"))
    scale: float | None = optional(cells["scale"], real)
    if scale is not None and not SCALES[0] <= scale <= SCALES[1]:
        bounds = f"from {SCALES[0]:.3g} to {SCALES[1]:.3g}"
        raise Unreadable(f"the scale {shown(cells['scale'])} is not above 0 and {bounds}")
    low = -(1 << (bits - 1)) if signed else 0
    zero = optional(cells["zero"], lambda word: whole(word, low, low + (1 << bits) - 1))
    if (scale is None or zero is None) and cells["kind"] != "weight":
        raise Unreadable("scale and zero point are needed for all but weights")
    name = whole_name(cells["name"])
    if version == BEFORE:
        cells["sum"] += sum_of_found(cells)
    if cells["sum"] != line_sum(cells):
        cells = _as_edited(cells)
    rest = (
        real(cells["low"]),
        real(cells["high"]),
        cells["method"],
        optional(cells["snr"], real),
        optional(cells["output"], real),
    )
    return Row(name, cells["kind"], bits, signed, scale, zero, rest)


def _as_edited(cells: dict[str, str]) -> dict[str, str]:
    try:
        return as_edited(cells)
    except Refused as error:
        raise Unreadable(str(error), error.advice) from None
