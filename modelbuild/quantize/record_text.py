"""The text of a quantization record: its lines and their sums. record_reading.py is the inverse."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from modelbuild.quantize.record_places import line_of_correction, line_of_tensor, quoted
from modelbuild.quantize.record_sums import EDITED, LINES, MODEL, line_sum, sum_of_lines, text_sum

TITLE = "modelbuild quantization record"
VERSION = "5"
HEADER = ("model", "arithmetic", "format", "method", "samples")
COLUMNS = ("kind", "type", "scale", "zero", "radix", "low", "high", "method", "snr", "output", "sum", "name")
WIDTHS = (11, 7, 24, 7, 6, 25, 25, 14, 7, 8, 26, 0)
DECIBELS = frozenset({"snr", "output"})
ROUND = "round"  # the correction that has a line for each channel


def encode(
    header: Mapping[str, str],
    rows: Iterable[Sequence[object]],
    corrections: Mapping[str, Mapping[str, tuple[int, ...]]],
    edited: frozenset[str] = frozenset(),
) -> str:
    """Header lines, the table in columns of fixed width so that a change moves nothing else, corrections, and
    a last line with the number of both.

    `rows` lack the column `sum`; `edited` are lines other than the table's to be marked, as in `Places`.
    """
    lines = [f"# {TITLE} {VERSION}"]
    for key in HEADER:
        value = header[key] if key != MODEL else quoted(header[key])
        lines.append(_with_sum(key, f"{key}: {value}", edited))
    lines += ["", _columns((f"# {COLUMNS[0]}", *COLUMNS[1:]))]
    table = list(rows)
    lines += [_columns(_summed(row)) for row in table]
    keys = [line_of_tensor(str(row[-1])) for row in table]
    for kind in sorted(corrections):
        for name, values in corrections[kind].items():
            for key, numbers in _correction_lines(kind, name, values):
                line = f"correct {key}{numbers}"
                lines.append(_with_sum(key, line, edited))
                keys.append(key)
    total = EDITED if LINES in edited else sum_of_lines(keys)
    lines.append(f"{LINES}: {len(keys)} #{total}")
    return "\n".join(lines) + "\n"


def _with_sum(key: str, line: str, edited: frozenset[str]) -> str:
    return f"{line} #{EDITED if key in edited else text_sum(line)}"


def _summed(row: Sequence[object]) -> list[str]:
    columns = [column for column in COLUMNS if column != "sum"]
    cells = {column: _cell(column, value) for column, value in zip(columns, row, strict=True)}
    cells["sum"] = line_sum(cells)
    return [cells[column] for column in COLUMNS]


def _correction_lines(kind: str, name: str, values: tuple[int, ...]) -> list[tuple[str, str]]:
    """What a line is of, and its numbers. One line; of `round` one for each channel that has bits."""
    if kind == ROUND:
        pairs = zip(values[::2], values[1::2], strict=True)
        return [(line_of_correction(kind, name, channel), f" {bits:x}") for channel, bits in pairs]
    return [(line_of_correction(kind, name), "".join(f" {value}" for value in values))]


def _columns(cells: Sequence[str]) -> str:
    return "".join(f"{cell} ".ljust(width) for cell, width in zip(cells, WIDTHS, strict=True)).rstrip()


def _cell(column: str, value: object) -> str:
    if value is None:
        return "-"
    if column in DECIBELS:
        return f"{value:.1f}"
    if column == "name":
        return quoted(str(value))
    return repr(value) if isinstance(value, float) else str(value)
