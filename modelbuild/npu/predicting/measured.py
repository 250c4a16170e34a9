"""A board's timings, read from a table or a vendor's report, as a whole or layer by layer."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import yaml

from modelbuild.errors import ModelbuildError
from modelbuild.formats import kneron_profile, mla_stats

MAX_BYTES = 4 << 20
MAX_ROWS = 100_000
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TOTALS = ("total", "total_ms", "sum", "all")  # in place of a layer's name
_DELIMITERS = ("\t", ";", ",")
_THOUSANDS = re.compile(r"[1-9][0-9]{0,2}(,[0-9]{3})+")
_UNTIMED = ("", "-", "n/a")  # in place of a time: the node is part of another row
_NAMES = ("layer", "name", "node", "node name", "operator", "node origin", "node_origin", "origin")
# Column -> milliseconds in its unit, None for cycles of the chip's clock; the first that is there counts.
_TIMES: Mapping[str, float | None] = {
    "sync_runtime(ms)": 1.0,  # Kneron: "closest to the real one"
    "sync_runtime": 1.0,
    "measured_ms": 1.0,
    "time_ms": 1.0,
    "ms": 1.0,
    "time (ms)": 1.0,
    "time(ms)": 1.0,
    "latency_ms": 1.0,
    "runtime(ms)": 1.0,
    "runtime": 1.0,
    "us": 1e-3,
    "time_us": 1e-3,
    "cycles": None,
}


@dataclass(frozen=True)
class Row:
    """A layer by the name that the board's tool gives it; milliseconds, or cycles of the chip's clock."""

    name: str
    ms: float | None = None
    cycles: int | None = None

    def time(self, clock_hz: float) -> float:
        """Milliseconds."""
        return self.ms if self.ms is not None else (self.cycles or 0) / clock_hz * 1e3


@dataclass(frozen=True)
class Measured:
    """`total_ms` is that of one inference, None where the file tells layers alone. `is_npu`: it is the NPU's
    part of it."""

    rows: tuple[Row, ...]
    total_ms: float | None = None
    is_npu: bool = False


def read(path: Path) -> Measured:
    """A file of timings: CSV, YAML (`{layer: ms}`, with `total`, or `{total_ms, layers}`), SiMa's
    `mla_stats.yaml`, or one of the two texts of Kneron's evaluator. Raises (exit 2) on anything else."""
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise ModelbuildError(
            "the file of measured times cannot be read", where=str(path), why=error.strerror or str(error)
        ) from None
    if len(data) > MAX_BYTES:
        raise _bad(str(path), f"it has more than {MAX_BYTES >> 20} MiB")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _bad(str(path), "it is not text in UTF-8") from None
    return parse(text, str(path), is_yaml=path.suffix in (".yaml", ".yml"))


def parse(text: str, where: str, *, is_yaml: bool) -> Measured:
    """As `read`, of the file's text."""
    if kneron_profile.is_profile(text):
        return Measured((), kneron_profile.total_ms(text, where), is_npu=True)
    return _from_yaml(text, where) if is_yaml else _from_csv(text, where)


def _from_csv(text: str, where: str) -> Measured:
    """Columns by their names, or a name and milliseconds where the first line has no names."""
    delimiter = _delimiter(text)
    try:
        reader = csv.reader(io.StringIO(text), delimiter=delimiter, skipinitialspace=delimiter != "\t")
        lines = [(reader.line_num, line) for line in reader if any(line)]
    except csv.Error as error:
        raise _bad(where, str(error)) from None
    if not lines or len(lines) > MAX_ROWS:
        raise _bad(where, f"it has {len(lines)} lines")
    head = [cell.strip().lower() for cell in lines[0][1]]
    name = next((head.index(each) for each in _NAMES if each in head), None)
    time = next((each for each in _TIMES if each in head), None)
    if name is None and time is None:
        name, time, head, body = 0, "ms", ["name", "ms"], lines
    elif name is None or time is None:
        kinds = _NAMES if name is None else tuple(_TIMES)
        raise _bad(where, f"its first line has none of the columns {', '.join(kinds)}")
    else:
        body = lines[1:]
    column, unit = head.index(time), _TIMES[time]
    for number, line in body:
        if any(cell.strip() for cell in line[len(head) :]):
            raise _bad(f"{where}, line {number}", f"it has {len(line)} columns, the first line {len(head)}")
    timed = [(number, line) for number, line in body if _cell(line, column).lower() not in _UNTIMED]
    points = _points([_cell(line, column) for _, line in timed], delimiter, where)
    return _collected(
        (
            _row(_cell(line, name), text, unit, f"{where}, line {number}")
            for (number, line), text in zip(timed, points, strict=True)
        ),
        where,
    )


def _delimiter(text: str) -> str:
    """What parts the columns of the first line: that by which it has a known name, else the rarest of those
    in it."""
    first = next((line for line in text.splitlines() if line.strip()), "").lower()
    for delimiter in _DELIMITERS:
        cells = {cell.strip().strip('"') for cell in first.split(delimiter)}
        if len(cells) > 1 and (cells & set(_NAMES) or cells & set(_TIMES)):
            return delimiter
    return next((each for each in _DELIMITERS if each in first), ",")


def _points(times: Sequence[str], delimiter: str, where: str) -> list[str]:
    """The times with decimal points, where other columns than those of commas leave commas for decimals."""
    with_commas = [time for time in times if "," in time]
    if not with_commas or delimiter == ",":
        return list(times)
    unclear = [time for time in times if "." in time or (delimiter == "\t" and _THOUSANDS.fullmatch(time))]
    if unclear:
        raise _bad(where, f"{with_commas[0]!r} beside {unclear[0]!r}: which of them has decimals is not told")
    return [time.replace(",", ".") for time in times]


def _cell(line: Sequence[str], index: int) -> str:
    return line[index].strip() if index < len(line) else ""


def _from_yaml(text: str, where: str) -> Measured:
    try:
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=_LOADER)):
            raise _bad(where, "it has aliases")
        twice = _twice(yaml.compose(text, Loader=_LOADER))
        found = yaml.load(text, Loader=_LOADER)  # a safe loader
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise _bad(where, str(error)[:200]) from None
    if twice is not None:
        raise _bad(where, f"`{twice}` is there twice")
    if not isinstance(found, Mapping) or not found:
        raise _bad(where, "it is not a mapping")
    if all(isinstance(key, int) for key in found):
        spans = mla_stats.load(text.encode(), where)
        return Measured(tuple(Row(span.name, cycles=span.cycles) for span in spans))
    layers = found.get("layers", {})
    if isinstance(layers, Sequence) and not isinstance(layers, str):
        layers = dict(_pair(item, where) for item in layers)
    if not isinstance(layers, Mapping):
        raise _bad(where, "`layers` is neither a mapping nor a list")
    plain = {key: value for key, value in found.items() if key != "layers"}
    return _collected(
        (_row(str(key), value, 1.0, where) for key, value in (plain | dict(layers)).items()), where
    )


def _twice(node: yaml.Node | None) -> str | None:
    """A key that one mapping has twice; of the last alone the time would count."""
    if isinstance(node, yaml.SequenceNode):
        return next((name for each in node.value if (name := _twice(each)) is not None), None)
    if not isinstance(node, yaml.MappingNode):
        return None
    seen: set[str] = set()
    for key, value in node.value:
        if isinstance(key, yaml.ScalarNode):
            if key.value in seen:
                return str(key.value)
            seen.add(key.value)
        within = _twice(value)
        if within is not None:
            return within
    return None


def _pair(item: Any, where: str) -> tuple[str, Any]:
    """The name and time of one of a list of layers."""
    if isinstance(item, Mapping):
        name = next((item[key] for key in _NAMES if key in item), None)
        time = next((item[key] for key in _TIMES if key in item and _TIMES[key] == 1.0), None)
        if name is not None and time is not None:
            return str(name), time
    raise _bad(where, f"one of its layers is not {{name, ms}}: {str(item)[:60]}")


def _row(name: str, value: Any, unit: float | None, where: str) -> Row:
    """One time, told as text or number."""
    try:
        number = float(value) if not isinstance(value, bool) else float("nan")
    except (TypeError, ValueError):
        number = float("nan")
    if not name or not isfinite(number) or not 0 <= number < 1e15:
        raise _bad(where, f"{name or 'a line'!r} has the time {str(value)[:40]!r}")
    return Row(name, cycles=round(number)) if unit is None else Row(name, ms=number * unit)


def _collected(found: Iterable[Row], where: str) -> Measured:
    """The rows, of which one may be the total."""
    rows = list(found)
    if not rows:
        raise _bad(where, "none of its lines has a time")
    totals = [row.ms for row in rows if row.name.lower() in _TOTALS and row.ms is not None]
    if len(totals) > 1:
        raise _bad(where, "it has two totals")
    if not any(row.ms or row.cycles for row in rows) or totals == [0]:
        raise _bad(where, "its total is 0" if totals else "all its times are 0")
    return Measured(
        tuple(row for row in rows if row.name.lower() not in _TOTALS), totals[0] if totals else None
    )


def _bad(where: str, why: str) -> ModelbuildError:
    return ModelbuildError(
        "the file has no measured times",
        where=where,
        why=why,
        advice="write a CSV file with the columns `layer` and `ms`; a layer `total` is the whole model's",
    )
