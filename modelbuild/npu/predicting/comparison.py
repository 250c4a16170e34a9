"""A prediction beside a board's timings, and predictions for several chips side by side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import fsum
from typing import Any

from modelbuild.npu.predicting.measured import Measured, Row

Found = Mapping[str, Any]  # an object of evaluate.json, or one of its layers

# What `side_by_side` tells of each chip.
COLUMNS = (
    *("chip", "fps", "npu_fps", "time_ms", "cpu_time_ms", "total_ms", "cycles", "macs"),
    *(
        "macs_source",
        "mac_utilisation",
        "bound",
        "energy_mj",
        "fits",
        "fits_because",
        "confidence",
        "confidence_because",
    ),
)


@dataclass(frozen=True)
class Pair:
    """Rows of a table of timings, and the layers that they time, as places in their lists; `by` says what
    joined them: name, origin or order."""

    rows: tuple[int, ...]
    layers: tuple[int, ...]
    by: str


def beside(measured: Measured, predicted: Found, clock_hz: float) -> dict[str, Any]:
    """The `measured` object of evaluate.json: the total and each layer beside what was `predicted` (an object
    of evaluate.json). A total that is told stands beside that of NPU and CPU, or of the NPU where it is the
    NPU's; else the sum of the joined rows beside that of their layers. Rows are joined by a layer's name,
    then by a name of its origin, then, where as many are left on both sides, in order; the rest is listed
    under `unmatched`."""
    own = predicted["layers"]
    on_cpu = [{**node, "origin": [node["name"]], "cycles": 0} for node in predicted["cpu_nodes"]]
    layers = [*own, *on_cpu]
    pairs = joined(measured.rows, layers)
    rows = {place for pair in pairs for place in pair.rows}
    taken = {place for pair in pairs for place in pair.layers}
    listed = len(layers) if any(place >= len(own) for place in taken) else len(own)
    found = [_row(pair, measured.rows, layers, clock_hz) for pair in pairs]
    of, total, expected = _total(measured, predicted, found, clock_hz)
    return {
        "of": of,
        "total_ms": total,
        "predicted_ms": expected,
        "ratio": None if expected is None else _ratio(expected, total),
        "layers": found,
        "unmatched": {
            "measured": [row.name for place, row in enumerate(measured.rows) if place not in rows],
            "layers": [
                each["name"] for place, each in enumerate(layers[:listed]) if rows and place not in taken
            ],
        },
    }


def _total(
    measured: Measured, predicted: Found, found: Sequence[Found], clock_hz: float
) -> tuple[str, float | None, float | None]:
    """What is summed up (total, npu, layers), its time as measured, and as predicted."""
    if measured.total_ms is not None:
        of = "npu" if measured.is_npu else "total"
        return of, measured.total_ms, predicted["time_ms" if measured.is_npu else "total_ms"]
    if found:
        told, expected = (fsum(pair[key] for pair in found) for key in ("measured_ms", "predicted_ms"))
        return "layers", told, expected
    return "layers", fsum(row.time(clock_hz) for row in measured.rows), None


def _row(pair: Pair, rows: Sequence[Row], layers: Sequence[Found], clock_hz: float) -> dict[str, Any]:
    predicted = fsum(layers[place]["time_ms"] for place in pair.layers)
    measured = fsum(rows[place].time(clock_hz) for place in pair.rows)
    return {
        "layers": [layers[place]["name"] for place in pair.layers],
        "measured": [rows[place].name for place in pair.rows],
        "joined_by": pair.by,
        "predicted_ms": predicted,
        "measured_ms": measured,
        "ratio": _ratio(predicted, measured),
    }


def _ratio(predicted: float, measured: float | None) -> float | None:
    return predicted / measured if measured else None


def joined(rows: Sequence[Row], layers: Sequence[Found]) -> list[Pair]:
    """The rows that belong to layers, in the order of the layers."""
    found = _named(rows, layers)
    pairs = _together(found)
    taken = {place for pair in pairs for place in pair.layers}
    left = [place for place in range(len(rows)) if place not in found]
    rest = [place for place, each in enumerate(layers) if place not in taken and each["cycles"]]
    if len(left) == len(rest):
        pairs += [Pair((row,), (layer,), "order") for row, layer in zip(left, rest, strict=True)]
    return sorted(pairs, key=lambda pair: pair.layers)


def _named(rows: Sequence[Row], layers: Sequence[Found]) -> dict[int, tuple[list[int], str]]:
    """Row -> the layers that have its name, or were made of what has it. A tool's prefix ("MLA_0/") is
    nothing of the name."""
    by_name = {each["name"]: [place] for place, each in enumerate(layers)}
    by_origin: dict[str, list[int]] = {}
    for place, each in enumerate(layers):
        for name in each["origin"]:
            by_origin.setdefault(name, []).append(place)
    found = {}
    for place, row in enumerate(rows):
        for by, places in (("name", by_name), ("origin", by_origin)):
            named = places.get(row.name) or places.get(row.name.rpartition("/")[2])
            if named:
                found[place] = named, by
                break
    return found


def _together(found: Mapping[int, tuple[list[int], str]]) -> list[Pair]:
    """Rows that share a layer are one pair: a tool may time the nodes that were fused one by one."""
    head: dict[int, int] = {}

    def first(layer: int) -> int:
        while head.setdefault(layer, layer) != layer:
            head[layer] = head[head[layer]]
            layer = head[layer]
        return layer

    for places, _ in found.values():
        for place in places:
            low, high = sorted((first(places[0]), first(place)))
            head[high] = low
    rows: dict[int, list[int]] = {}
    for row, (places, _) in found.items():
        rows.setdefault(first(places[0]), []).append(row)
    layers: dict[int, list[int]] = {}
    for layer in sorted(head):
        layers.setdefault(first(layer), []).append(layer)
    return [
        Pair(tuple(members), tuple(layers[at]), _way(found[row][1] for row in members))
        for at, members in rows.items()
    ]


def _way(ways: Iterable[str]) -> str:
    return "name" if set(ways) == {"name"} else "origin"


def side_by_side(found: Sequence[Found]) -> list[dict[str, Any]]:
    """A row for each prediction; `speed` is how many times as fast as the slowest its whole time is."""
    slowest = max((each["total_ms"] for each in found), default=0.0)
    return [
        {
            **{key: each.get(key) for key in COLUMNS},
            "speed": slowest / each["total_ms"] if each["total_ms"] else None,
            "cpu_nodes": len(each["cpu_nodes"]),
            "unsupported": len(each["unsupported"]),
            "dram_bytes": each.get("dram", {}).get("total"),
        }
        for each in found
    ]
