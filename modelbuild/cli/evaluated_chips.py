"""Predictions of one model for several chips, side by side, in words."""

from __future__ import annotations

from collections.abc import Sequence

from modelbuild.cli import console, evaluated
from modelbuild.cli.evaluated import Said

_MEGA = 1e6


def compared(said: Sequence[Said], rows: Sequence[Said], layers: bool = False, advice: bool = False) -> str:
    """Chips as lines; what keeps nodes from an NPU below, and then `advice` and `layers` of each."""
    head = (
        "chip",
        "fps",
        "ms",
        "NPU ms",
        "CPU ms",
        "faster",
        "array",
        "DRAM MB",
        "mJ",
        "bound",
        "fits",
        "confidence",
    )
    cells = [
        (
            row["chip"],
            evaluated.number(row["fps"]),
            evaluated.number(row["total_ms"]),
            evaluated.number(row["time_ms"]),
            evaluated.number(row["cpu_time_ms"]),
            "" if row["speed"] is None else f"{row['speed']:.1f}x",
            "" if row["mac_utilisation"] is None else f"{row['mac_utilisation']:.0%}",
            evaluated.number(row["dram_bytes"] / _MEGA),
            "" if row["energy_mj"] is None else evaluated.number(row["energy_mj"]),
            row["bound"] or "",
            "yes" if row["fits"] else "NO",
            row["confidence"],
        )
        for row in rows
    ]
    notes = [f"{each['chip']}: does not fit: {each['fits_because']}" for each in said if not each["fits"]]
    notes += [f"{each['chip']}:{line}" for each in said for line in evaluated.added(each)]
    notes += [f"{each['chip']}:{line}" for each in said for line in evaluated.nodes(each)]
    notes += [
        f"{each['chip']}: confidence guess{evaluated.because(each)}"
        for each in said
        if evaluated.because(each)
    ]
    table = console.table(head, cells, right=tuple(range(1, 9)))
    notes += [f"{each['chip']}:{line}" for each in said if advice for line in evaluated.advice(each)]
    tables = [f"\n{each['chip']}\n{evaluated.table(each['layers'])}" for each in said if layers]
    return "\n".join([said[0]["model"], table, *notes, *tables])
