"""A prediction as the object of evaluate.json: times, traffic, memory, and what they rest on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import fsum
from typing import Any

from modelbuild.npu.choices import TILINGS
from modelbuild.npu.compiler import CompiledModel
from modelbuild.npu.predicting import cpu_time
from modelbuild.npu.predicting.bottleneck import together
from modelbuild.npu.predicting.confidence import Confidence, confidence, of_cpu
from modelbuild.npu.predicting.layer_columns import added_macs, layer
from modelbuild.npu.predicting.needed_memory import cell_bytes, memory, over_memory
from modelbuild.npu.predicting.node_rows import nodes
from modelbuild.npu.predicting.prediction import Prediction

_MS = 1000.0
_NOTHING = "nothing on the chip runs it"
_UNPACKED = (
    "how short packed weights are depends on their numbers, which a prediction does not have: they are "
    "counted unpacked, so that bytes and time are an upper bound"
)


def to_json(
    found: Prediction, reasons: Mapping[str, str], source_macs: Mapping[str, int] | None = None
) -> dict[str, Any]:
    """The object of docs/evaluate.md: ms of one inference of the model as it was exported; cycles and bytes
    of a run, which is a whole batch. `reasons` say why a node is not on the NPU; `source_macs` are those
    of the model before the chip's passes (`statistics.macs_by_origin`).

    `time_ms` is the NPU's; `layers` lists the NPU's. `npu_fps` is null where the NPU has nothing to do, `fps`
    where nothing takes time. Nodes that nothing on the chip runs are listed under `unsupported` and take no
    time."""
    graph, units, hardware = found.counted.graph, found.counted.units, found.recipe.hardware
    on_cpu = cpu_time.rows(graph, units, reasons, hardware, cell_bytes(found))
    added = added_macs(found.rows, source_macs)
    too_large = over_memory(found)
    sure = confidence(hardware, found.rows, found.options.told)
    return {
        "model": graph.name,
        "chip": found.recipe.chip,
        "built": False,
        "may_divide": None,
        **_times(found, fsum(row["time_ms"] for row in on_cpu)),
        "pictures_per_inference": found.own_batch,
        **_confidence(sure),
        "cycles": found.cycles,
        "macs": sum(row.macs for row in found.rows),
        "macs_npu": sum(row.macs for row in found.npu),
        "macs_source": None if source_macs is None else sum(source_macs.values()),
        "mac_utilisation": found.utilisation(found.npu, found.cycles),
        "bound": together(row.busy for row in found.npu).bound(found.engines) if found.cycles else None,
        "batch": found.batched.achieved,
        "batching": {
            "desired": found.options.batch,
            "achieved": found.batched.achieved,
            "reasons": [finding.message for finding in found.batched.reasons],
        },
        "activations": found.formats.activation.name,
        "weights": f"int{found.formats.weight_bits}",
        "weight_compress": _packing(found),
        "tiling": found.options.tiling,
        "deep": _deep(found),
        "groups": len(found.counted.compiled.groups),
        "dram": _traffic(found),
        "stalls": _stalls(found),
        **_energy(found),
        "cpu_nodes": on_cpu,
        "cpu_rate": _cpu_rate(found) if on_cpu else None,
        "unsupported": [
            {"name": node.name, "op": node.op, "reason": reasons.get(node.name, _NOTHING)}
            for node in graph.nodes
            if units[node.name] == "none"
        ],
        "memory": memory(found),
        "fits": too_large is None,
        "fits_because": too_large,
        "nodes": nodes(found),
        "layers": [layer(found, row, added[row.name]) for row in found.npu],
    }


def _packing(found: Prediction) -> dict[str, Any]:
    """Whether weights are to be packed, and that they are counted as they are."""
    wanted = found.packs
    return {"wanted": wanted, "counted": "unpacked", "because": _UNPACKED if wanted else None}


def _times(found: Prediction, cpu_ms: float) -> dict[str, float | None]:
    busy = together(row.busy for row in found.npu)
    time_ms, apart_ms, running_ms = (found.ms(each) for each in (found.cycles, busy.total, busy.compute))
    total_ms = time_ms + cpu_ms
    return {
        "fps": _MS / total_ms if total_ms else None,
        "npu_fps": _MS / time_ms if time_ms else None,
        "pictures_per_second": _MS * found.own_batch / total_ms if total_ms else None,
        "time_ms": time_ms,
        "cpu_time_ms": cpu_ms,
        "total_ms": total_ms,
        "time_no_overlap_ms": apart_ms,
        "overlap_saved_ms": max(0.0, apart_ms - time_ms),
        "theoretical_ms": found.ms(found.least_cycles(found.npu)),
        "running_ms": running_ms,
        "idle_ms": max(0.0, time_ms - running_ms),
    }


def _confidence(sure: Confidence) -> dict[str, Any]:
    return {
        "confidence": sure.sure,
        "confidence_because": sure.because,
        "confidence_sources": sure.facts,
    }


def _traffic(found: Prediction) -> dict[str, Any]:
    """Bytes of a run; `compulsory` are inputs, outputs and weights once. Bandwidths in bytes per second: the
    three that were counted with, and what is moved on the average."""
    read, write, weights = (
        sum(getattr(row, name) for row in found.npu) for name in ("read_bytes", "write_bytes", "weight_bytes")
    )
    hardware = found.recipe.hardware
    total, seconds = read + write + weights, found.cycles / hardware.clock_hz.value
    held = memory(found)
    compulsory = round((held["input"] + held["output"]) * found.repeats) + held["weights"]
    return {
        "read": read,
        "write": write,
        "weights": weights,
        "total": total,
        "read_bandwidth": hardware.dram_read_bytes_per_second.value,
        "write_bandwidth": hardware.dram_write_bytes_per_second.value,
        "weight_bandwidth": hardware.weight_bytes_per_second.value,
        "bandwidth_average": total / seconds if seconds else None,
        "compulsory": compulsory,
        "ratio": total / compulsory if compulsory else None,
    }


def _deep(found: Prediction) -> dict[str, Any] | None:
    """What deep tiling brings; None where it was not asked for."""
    if found.default is None:
        return None
    cycles = found.default.cycles - found.counted.compiled.cycles
    moved = (sum(_bytes(compiled)) for compiled in (found.default, found.counted.compiled))
    return {
        "saves_ms": found.ms(cycles),
        "saves_bytes": next(moved) - next(moved),
        "default_time_ms": found.ms(found.cycles + cycles),
        "default_groups": len(found.default.groups),
        "taken": found.counted.compiled.tiling != TILINGS[0],
        "reason": found.counted.compiled.deep.message if found.counted.compiled.deep else "",
    }


def _bytes(compiled: CompiledModel) -> Iterator[int]:
    for plan in compiled.layers:
        if plan.unit != "cpu":
            yield plan.dram_read + plan.dram_write + plan.weight_bytes


def _stalls(found: Prediction) -> dict[str, Any]:
    """Cycles of a run in which nothing is computed."""
    cycles = max(0, found.cycles - sum(row.busy.compute for row in found.npu))
    return {
        "cycles": cycles,
        "time_ms": found.ms(cycles),
        "share": cycles / found.cycles if found.cycles else 0.0,
    }


def _cpu_rate(found: Prediction) -> dict[str, Any]:
    """Operations per second of the CPU, and how sure and whence its facts are."""
    hardware = found.recipe.hardware
    sure = of_cpu(hardware)
    return {"operations_per_second": cpu_time.rate(hardware), "sure": sure.sure, "sources": sure.facts}


def _energy(found: Prediction) -> dict[str, Any]:
    power = found.recipe.hardware.power_watts
    if power is None:
        return {"energy_mj": None, "energy_because": "the chip's power is not published"}
    return {"energy_mj": power.value * found.ms(found.cycles), "energy_because": power.source}
