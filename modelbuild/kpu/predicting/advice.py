"""The layers and tensor functions that take longest, and what would make a kmodel faster."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import fsum
from typing import Any

from modelbuild.kpu.predicting.prediction import ENGINES, Prediction, Row, at, strip_use
from modelbuild.npu.predicting.assumptions import Options, assumed

LEAST_SHARE = 0.005  # of the time: less is not worth a line
SLOWEST = 3
_FASTER = 1.25
_FEW = 0.75  # of a row's cells


def to_json(found: Prediction, on_cpu: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """`help` and `slowest` of evaluate.json, whose `cpu_nodes` are `on_cpu`."""
    cpu_ms = fsum(node["time_ms"] for node in on_cpu)
    total = found.ms(found.cycles) + cpu_ms
    return {"help": list(_changes(found, total)), "slowest": _slowest(found, on_cpu, total)}


def _changes(found: Prediction, total: float) -> Iterator[dict[str, Any]]:
    """What can be set on the chip as it is: `--clock` gives the same figures."""
    if not found.cycles:
        return
    clock = found.recipe.hardware.clock_hz.value * _FASTER
    faster = at(found, assumed(found.recipe, Options(clock_hz=clock)))
    now = faster.ms(faster.cycles)
    whole = now + fsum(faster.cpu_ms(one.work.operations) for one in faster.on_cpu)
    if total - whole > LEAST_SHARE * total:
        yield {
            "change": f"a clock faster by a quarter (--clock {clock:.0f})",
            "time_ms": now,
            "total_ms": whole,
            "saves_ms": total - whole,
            "counted": True,
        }


def _slowest(found: Prediction, on_cpu: Sequence[Mapping[str, Any]], total: float) -> list[dict[str, Any]]:
    layers = [
        {
            "name": row.name,
            "unit": "npu",
            "time_ms": found.ms(row.cycles),
            "bound": row.busy.bound(ENGINES),
            "because": _because(found, row),
        }
        for row in found.rows
    ]
    nodes = [
        {
            "name": node["name"],
            "unit": "cpu",
            "time_ms": node["time_ms"],
            "bound": "cpu",
            "because": f"the CPU runs it ({node['op']})",
        }
        for node in on_cpu
        if node["time_ms"]
    ]
    longest = sorted([*layers, *nodes], key=lambda each: -float(each["time_ms"]))[:SLOWEST]
    return [{**each, "share": each["time_ms"] / total} for each in longest]


def _because(found: Prediction, row: Row) -> str:
    bound = row.busy.bound(ENGINES)
    if bound == "dma":
        return (
            f"{row.read_bytes + row.write_bytes:,} bytes of maps go between general RAM and the KPU's, "
            "copied by the CPU unless rows are whole multiples of 64"
        )
    if bound == "compute":
        operator = next(each for each in found.model.operators if each.name == row.name)
        width = found.model.tensors[operator.inputs[0]].shape[3]
        filled = strip_use(width)
        narrow = f"; maps {width} wide fill {filled:.0%} of their rows of 64" if filled < _FEW else ""
        return f"the KPU multiplies, at {row.macs / row.peak / row.cycles:.0%} of its peak{narrow}"
    return "its weights are read" if bound == "weights" else "it is so small that starting it takes longest"
