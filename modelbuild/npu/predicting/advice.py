"""What would make a prediction shorter: the same count with one thing changed, and the layers to look at."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from math import fsum
from typing import Any

from modelbuild.errors import ModelbuildError
from modelbuild.npu.choices import MOST_BATCH
from modelbuild.npu.predicting.assumptions import Options
from modelbuild.npu.predicting.bottleneck import Busy
from modelbuild.npu.predicting.predicted_layers import Row
from modelbuild.npu.predicting.prediction import Prediction

MOST = 5  # changes that are told
SLOWEST = 3  # layers
LEAST_SHARE = 0.005  # of the time: less is not worth a line
_BATCH = 4
_HALF = 0.5
_ON_CPU = "the CPU runs it"
_FASTER = 1.25

_WHY = {
    "compute": "the array works on it {share}, at {utilisation} of its peak for such layers",
    "dma": "{moved} bytes of feature maps go to and from DRAM",
    "weights": "{weights} bytes of weights are read",
    "overhead": "it is so small that starting it takes longest",
}


def to_json(
    found: Prediction,
    on_cpu: Sequence[Mapping[str, Any]],
    again: Callable[[Options], Prediction] | None = None,
) -> dict[str, Any]:
    """`help` and `slowest` of evaluate.json, whose `cpu_nodes` are `on_cpu`. With `again`, which predicts
    with other options, other programs are tried, too."""
    return {
        "help": [asdict(saving) for saving in what_would_help(found, again, _time(on_cpu))],
        "slowest": slowest(found, on_cpu),
    }


def _time(on_cpu: Iterable[Mapping[str, Any]]) -> float:
    return fsum(node["time_ms"] for node in on_cpu)


@dataclass(frozen=True)
class Saving:
    """`time_ms` is the NPU's, `total_ms` with the CPU's. `counted`: the program was counted again; else
    worked out layer by layer, which is exact where the engines take turns."""

    change: str
    time_ms: float
    total_ms: float
    saves_ms: float
    counted: bool


def what_would_help(
    found: Prediction, again: Callable[[Options], Prediction] | None = None, cpu_ms: float = 0.0
) -> list[Saving]:
    """The changes that save most of NPU and CPU together, the best first. Those that make another program are
    tried with `again`."""
    now = found.ms(found.cycles)
    savings = [Saving(change, ms, ms + cpu_ms, now - ms, False) for change, ms in _worked_out(found)]
    if again is not None:
        savings += [Saving(change, ms, ms + cpu_ms, now - ms, True) for change, ms in _counted(found, again)]
    if now:  # a chip without an NPU has nothing else
        savings.append(Saving("nothing on the CPU", now, now, cpu_ms, False))
    worth = [saving for saving in savings if saving.saves_ms > LEAST_SHARE * (now + cpu_ms)]
    return sorted(worth, key=lambda saving: -saving.saves_ms)[:MOST]


def _worked_out(found: Prediction) -> Iterator[tuple[str, float]]:
    """Other rates, without another program."""
    rows, engines = found.npu, found.engines
    halved = (_changed(row.busy, dma=_HALF, weights=_HALF) for row in rows)
    yield "twice the DRAM bandwidth", found.ms(_cycles(rows, halved, engines))
    slower = (_changed(row.busy, dma=_FASTER, weights=_FASTER) for row in rows)
    yield "a clock faster by a quarter", found.ms(_cycles(rows, slower, engines)) / _FASTER
    doubled = (_faster(row, row.array) for row in rows)
    yield "an array twice as fast", found.ms(_cycles(rows, doubled, engines))
    other = (_faster(row, row.busy.compute - row.array) for row in rows)
    yield "cell-by-cell work twice as fast", found.ms(_cycles(rows, other, engines))
    if engines == 1:
        yield "engines that all work at once", found.ms(sum(_longest(row.busy) for row in rows))


def _faster(row: Row, part: int) -> Busy:
    """With half of this part of what the layer computes."""
    return replace(row.busy, compute=row.busy.compute - part // 2)


def _changed(busy: Busy, dma: float, weights: float) -> Busy:
    return replace(
        busy,
        read=round(busy.read * dma),
        write=round(busy.write * dma),
        weights=round(busy.weights * weights),
    )


def _cycles(rows: Iterable[Row], changed: Iterable[Busy], engines: int) -> int:
    """Of a run. Where engines overlap, what a layer takes beyond its longest engine stays."""
    total = 0
    for row, busy in zip(rows, changed, strict=True):
        own = (row.busy.total, busy.total) if engines == 1 else (_longest(row.busy), _longest(busy))
        total += row.cycles - own[0] + own[1]
    return total


def _longest(busy: Busy) -> int:
    return max(busy.compute, busy.read, busy.write, busy.weights) + busy.overhead


def _counted(found: Prediction, again: Callable[[Options], Prediction]) -> Iterator[tuple[str, float]]:
    """Other programs; what the chip cannot do is left out."""
    options, hardware = found.options, found.recipe.hardware
    tried = [
        ("twice the memory on the chip", replace(options, sram_bytes=2 * int(hardware.sram_bytes.value)))
    ]
    if options.tiling != "deep":
        tried.append(("tiling: deep", replace(options, tiling="deep")))
    batch = found.batched.achieved * _BATCH
    if batch <= MOST_BATCH:
        tried.append((f"batch: {batch}", replace(options, batch=batch)))
    for change, changed in tried:
        try:
            made = again(changed)
        except ModelbuildError:
            continue
        if changed.batch in (options.batch, made.batched.achieved):
            yield change, made.ms(made.cycles)


def slowest(found: Prediction, on_cpu: Sequence[Mapping[str, Any]] = ()) -> list[dict[str, Any]]:
    """The layers of the NPU and nodes on the CPU that take longest, why, and their share of the whole
    time."""
    rows = sorted((row for row in found.npu if row.cycles), key=lambda row: -row.cycles)[:SLOWEST]
    layers = [
        {
            "name": row.name,
            "unit": "npu",
            "time_ms": found.ms(row.cycles),
            "bound": row.busy.bound(found.engines),
            "because": _because(found, row),
        }
        for row in rows
    ]
    nodes = [
        {"name": node["name"], "unit": "cpu", "time_ms": node["time_ms"], "bound": "cpu", "because": _ON_CPU}
        for node in on_cpu
        if node["time_ms"]
    ]
    total = found.ms(found.cycles) + _time(on_cpu)
    longest = sorted([*layers, *nodes], key=lambda each: -each["time_ms"])[:SLOWEST]
    return [{**each, "share": each["time_ms"] / total} for each in longest]


def _because(found: Prediction, row: Row) -> str:
    share = found.utilisation((row,), row.array)
    bound = row.busy.bound(found.engines)
    if bound == "compute" and share is None:
        return "it has nothing to multiply, and is done cell by cell"
    if bound == "compute" and 2 * row.array < row.busy.compute:
        return "most of it is done cell by cell, not by the array"
    return _WHY[bound].format(
        share="all the time" if row.array == row.busy.compute else "most of the time",
        utilisation="" if share is None else f"{share:.0%}",
        moved=f"{row.read_bytes + row.write_bytes:,}",
        weights=f"{row.weight_bytes:,}",
    )
