"""The operations of a compiled kmodel in order of execution, each with the time that it will take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, fsum, prod
from typing import Any

from modelbuild.arithmetic.fixed_model import FixedModel, FixedOperator, QuantizedTensor
from modelbuild.chips.recipe import Hardware
from modelbuild.kpu.compiler import Executed
from modelbuild.kpu.cycles import upload_fact
from modelbuild.kpu.predicting.rates import LayerCycles, Work, layer_cycles, work
from modelbuild.npu.predicting import cpu_time
from modelbuild.npu.predicting.bottleneck import Busy

KPU_LAYER, UPLOAD, COPY = "kpu_conv2d", "kpu_upload", "copy"
PARTS = ("upload_ms", "compute_ms", "weights_ms", "download_ms", "overhead_ms", "cpu_ms")
IDLE = Busy()
_MS = 1e3


@dataclass(frozen=True)
class Timed:
    """An operation with what it takes: cycles of the KPU's clock while it is `busy` (read: an upload, write:
    a download), bytes of maps that come and go, and of weights; or the CPU's `work`. `array`: a layer's own
    count, against the recipe's fact `peak`; `facts` of the recipe decide."""

    step: Executed
    busy: Busy = IDLE
    read_bytes: int = 0
    write_bytes: int = 0
    weight_bytes: int = 0
    array: LayerCycles | None = None
    peak: str = ""
    work: Work | None = None
    facts: tuple[str, ...] = ()


def timeline(model: FixedModel, executed: Sequence[Executed], hardware: Hardware) -> tuple[Timed, ...]:
    """Of all operations, by the rates of a chip (docs/k210.md)."""
    operators = {each.name: each for each in model.operators}
    return tuple(_timed(model, operators[step.operator], step, hardware) for step in executed)


def times_of(timed: Sequence[Timed], hardware: Hardware) -> list[dict[str, Any]]:
    """Of each operation, as `compile.json` has it: cycles and ms, and the ms of its parts."""
    return [{"unit": "cpu" if one.work else "npu", **_parts(one, hardware)} for one in timed]


def times_together(listed: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """The ms of all operations of `times_of` together, by part."""
    return {part: fsum(each[part] for each in listed) for part in (*PARTS, "time_ms")}


def _parts(one: Timed, hardware: Hardware) -> dict[str, Any]:
    def ms(cycles: int) -> float:
        return cycles / hardware.clock_hz.value * _MS

    busy = one.busy
    cpu_ms = one.work.operations / cpu_time.rate(hardware) * _MS if one.work else 0.0
    shares = (ms(busy.read), ms(busy.compute), ms(busy.weights), ms(busy.write), ms(busy.overhead), cpu_ms)
    return {
        "cycles": None if one.work else busy.total,
        "bytes": one.read_bytes + one.write_bytes + one.weight_bytes + (one.work.bytes if one.work else 0),
        **dict(zip(PARTS, shares, strict=True)),
        "time_ms": ms(busy.total) + cpu_ms,
    }


def _timed(model: FixedModel, operator: FixedOperator, step: Executed, hardware: Hardware) -> Timed:
    if step.name == UPLOAD:
        return _upload(model.tensors[step.reads[0]], step, hardware)
    if step.name == KPU_LAYER:
        return _layer(model, operator, step, hardware)
    if step.name == COPY:
        moved = 2 * sum(_bytes(model.tensors[name]) for name in step.reads)
        return Timed(step, work=Work(moved, "bytes moved", moved))
    return Timed(step, work=work(model, operator))


def _upload(tensor: QuantizedTensor, step: Executed, hardware: Hardware) -> Timed:
    """By DMA where rows are whole, else by the CPU, which copies row by row."""
    size = prod(tensor.shape)
    fact = upload_fact(tensor.shape[3], hardware)
    rate = getattr(hardware, fact)
    return Timed(step, Busy(read=_cycles(size, rate.value, hardware)), size, facts=(fact,))


def _layer(model: FixedModel, operator: FixedOperator, step: Executed, hardware: Hardware) -> Timed:
    counted = layer_cycles(model, operator)
    depthwise, kernel = operator.parameters["depthwise"], operator.parameters["kernel"]
    kind = "depthwise" if depthwise else "pointwise" if kernel == 1 else ""
    peak = f"macs_per_cycle_{kind}" if kind else "macs_per_cycle"
    written = 0
    if step.main_memory:
        written = sum(prod(model.tensors[name].shape) for name in step.writes)
    facts = ["clock_hz", "layer_overhead_cycles", "weight_bytes_per_second", peak]
    if written:
        facts.append("dram_write_bytes_per_second")
    busy = Busy(
        compute=counted.array + counted.written,
        write=_cycles(written, hardware.dram_write_bytes_per_second.value, hardware),
        weights=_cycles(counted.weight_bytes, hardware.weight_bytes_per_second.value, hardware),
        overhead=int(hardware.layer_overhead_cycles.value),
    )
    return Timed(step, busy, 0, written, counted.weight_bytes, counted, peak, None, tuple(facts))


def _cycles(size: int, per_second: float, hardware: Hardware) -> int:
    return ceil(size * hardware.clock_hz.value / per_second)


def _bytes(tensor: QuantizedTensor) -> int:
    return prod(tensor.shape) * tensor.dtype.itemsize
