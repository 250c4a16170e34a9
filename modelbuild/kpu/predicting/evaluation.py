"""A prediction as the object of evaluate.json (docs/evaluate.md): what a KPU has not is null or 0."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import fsum, prod
from typing import Any

from modelbuild.chips.recipe import Fact, Hardware
from modelbuild.kpu.planning.maps import JOINS
from modelbuild.kpu.predicting.prediction import ENGINES, OnCpu, Prediction, Row
from modelbuild.npu.limits import room
from modelbuild.npu.predicting import cpu_time
from modelbuild.npu.predicting.bottleneck import together
from modelbuild.npu.predicting.confidence import ORDER, Confidence, of_cpu
from modelbuild.npu.predicting.layer_columns import added_macs
from modelbuild.quantize.split_regions import curved

_MS = 1e3
_FLOATS = "float32"  # the number system, and its one format
_NOTHING = "nothing on the chip runs it"


def to_json(
    found: Prediction, reasons: Mapping[str, str], source_macs: Mapping[str, int] | None = None
) -> dict[str, Any]:
    """ms, cycles and bytes of one inference; `built` says whether of the kmodel itself. `layers` are those of
    the KPU; the time of maps that go to its RAM and back is theirs. `cpu_nodes` are the tensor functions of
    the CPU, those that quantize, pad and cut for layers of the KPU among them. `reasons` say why a node is
    not on the KPU."""
    on_cpu = [_function(found, one, reasons) for one in found.on_cpu]
    added = added_macs(found.rows, source_macs)  # type: ignore[arg-type]  # it reads names and macs alone
    sure = _confidence(found)
    busy = together(row.busy for row in found.rows)
    least = fsum(row.macs / row.peak for row in found.rows)
    macs_npu = sum(row.macs for row in found.rows)
    return {
        "model": found.graph.name,
        "chip": found.recipe.chip,
        "built": found.is_built,
        "may_divide": None if found.is_built or not found.rows else curved(found.graph),
        **_times(found, fsum(row["time_ms"] for row in on_cpu), least, busy.compute),
        "pictures_per_inference": found.pictures,
        "confidence": sure.sure,
        "confidence_because": sure.because,
        "confidence_sources": sure.facts,
        "cycles": found.cycles,
        "macs": macs_npu + sum(one.macs for one in found.on_cpu),
        "macs_npu": macs_npu,
        "macs_source": None if source_macs is None else sum(source_macs.values()),
        "mac_utilisation": least / found.cycles if found.cycles and least else None,
        "bound": busy.bound(ENGINES) if found.cycles else None,
        "batch": 1,
        "batching": {"desired": None, "achieved": 1, "reasons": []},
        **_formats(found),
        "weight_compress": {"wanted": False, "counted": "unpacked", "because": None},
        "tiling": found.options.tiling,
        "deep": None,
        "groups": len(found.compiled.functions),
        "dram": _traffic(found),
        "stalls": _stalls(found, busy.compute),
        "energy_mj": None,
        "energy_because": "the chip's power is not published",
        "cpu_nodes": on_cpu,
        "cpu_rate": _cpu_rate(found.recipe.hardware) if on_cpu else None,
        "unsupported": [
            {"name": node.name, "op": node.op, "reason": reasons.get(node.name, _NOTHING)}
            for node in found.graph.nodes
            if found.units[node.name] == "none"
        ],
        "memory": memory(found),
        "fits": over_memory(found) is None,
        "fits_because": over_memory(found),
        "nodes": _nodes(found),
        "layers": [_layer(found, row, added[row.name]) for row in found.rows],
    }


def _formats(found: Prediction) -> dict[str, str]:
    if found.recipe.number_format.arithmetic == _FLOATS:
        return {"activations": _FLOATS, "weights": _FLOATS}
    return {"activations": found.formats.activation.name, "weights": f"int{found.formats.weight_bits}"}


def _times(found: Prediction, cpu_ms: float, least: float, computed: int) -> dict[str, float | None]:
    time_ms = found.ms(found.cycles)
    total_ms, running_ms = time_ms + cpu_ms, found.ms(computed)
    return {
        "fps": _MS / total_ms if total_ms else None,
        "npu_fps": _MS / time_ms if time_ms else None,
        "pictures_per_second": _MS * found.pictures / total_ms if total_ms else None,
        "time_ms": time_ms,
        "cpu_time_ms": cpu_ms,
        "total_ms": total_ms,
        "time_no_overlap_ms": time_ms,
        "overlap_saved_ms": 0.0,
        "theoretical_ms": found.ms(least),
        "running_ms": running_ms,
        "idle_ms": max(0.0, time_ms - running_ms),
    }


def memory(found: Prediction) -> dict[str, int]:
    """Bytes: the file and all pools are what the general RAM must hold. Equal constants, of which a file has
    one, are counted each."""
    sizes, graph, hardware = found.compiled.memory.sizes, found.graph, found.recipe.hardware
    return {
        "feature_maps_peak": sizes.working,
        "input": sum(_bytes(found, name) for name in graph.inputs),
        "output": sum(_bytes(found, name) for name in graph.outputs),
        "weights": found.constant_bytes + sizes.constants,
        "dram_peak": _needed(found),
        "sram_peak": sizes.kpu_ram,
        "dram": int(hardware.dram_bytes.value),
        "room": room(found.recipe).bytes,
        "sram": int(found.options.sram_bytes or hardware.sram_bytes.value),
        "kmodel": found.kmodel_bytes,
    }


def over_memory(found: Prediction) -> str | None:
    """What of it does not fit; None where all does."""
    needed, has = _needed(found), room(found.recipe)
    if needed <= has.bytes:
        return None
    sizes = found.compiled.memory.sizes
    return (
        f"{found.graph.name} needs {needed:,} bytes of general RAM, {has.of} {has.bytes:,}: the kmodel "
        f"{found.kmodel_bytes:,}, inputs {sizes.input:,}, outputs {sizes.output:,}, working memory "
        f"{sizes.working:,}"
    )


def _needed(found: Prediction) -> int:
    sizes = found.compiled.memory.sizes
    return found.kmodel_bytes + sizes.input + sizes.output + sizes.working


def _bytes(found: Prediction, name: str) -> int:
    """Of a port: that of the kmodel may hold bytes where the model's holds floats."""
    own, graph = found.model.tensors.get(name), found.graph
    return prod(graph.shapes[name]) * (graph.dtypes[name] if own is None else own.dtype).itemsize


def _traffic(found: Prediction) -> dict[str, Any]:
    """Between general RAM and the KPU's: maps by DMA and by the CPU, weights by the KPU itself."""
    read, write, weights = (
        sum(getattr(row, name) for row in found.rows)
        for name in ("read_bytes", "write_bytes", "weight_bytes")
    )
    hardware, total = found.recipe.hardware, read + write + weights
    seconds = found.cycles / hardware.clock_hz.value
    compulsory = _moved(found) + min(weights, found.constant_bytes)
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


def _moved(found: Prediction) -> int:
    """Bytes of maps that layers of the KPU read and others make, and of those that they make and others
    read, each once. What a Concat puts beside each other in the KPU's RAM is theirs."""
    names = {row.name for row in found.rows}
    layers = [one for one in found.model.operators if one.name in names]
    made = {name for one in layers for name in one.outputs}
    joins = [one for one in found.model.operators if one.kind in JOINS]
    made |= {name for one in joins if made.issuperset(one.inputs) for name in one.outputs}
    others = [one for one in found.model.operators if one.name not in names and one not in joins]
    read = {name for row in found.rows for name in found.compiled.functions[row.function].sources} - made
    wanted = {*found.model.outputs, *(name for one in others for name in one.inputs)}
    written = {row.name for row in found.rows if row.write_bytes}
    left = {name for one in layers if one.name in written for name in one.outputs if name in wanted}
    return sum(prod(found.model.tensors[name].shape) for name in read | left)


def _stalls(found: Prediction, computed: int) -> dict[str, Any]:
    cycles = found.cycles - computed
    return {
        "cycles": cycles,
        "time_ms": found.ms(cycles),
        "share": cycles / found.cycles if found.cycles else 0.0,
    }


def _function(found: Prediction, one: OnCpu, reasons: Mapping[str, str]) -> dict[str, Any]:
    wholes = (found.wholes.get(name, name) for name in one.nodes)
    reason = next((reasons[name] for name in wholes if reasons.get(name)), "") or _helps(found, one)
    return {
        "name": one.name,
        "op": one.op,
        "reason": f"{reason}; no kmodel can have it: {found.left_out[one.name]}" if one.estimated else reason,
        "operations": one.work.operations,
        "counted": one.work.of,
        "bytes_moved": one.work.bytes,
        "time_ms": found.cpu_ms(one.work.operations),
    }


_HELPS = {
    "quantize": "the KPU reads bytes",
    "dequantize": "the CPU computes with floats",
    "Copy": "an output that is read inside, or is another tensor's memory",
}


def _helps(found: Prediction, one: OnCpu) -> str:
    """Of what no node asked for by itself."""
    if any(found.units.get(name) in ("npu", "fused") for name in one.nodes):
        return _HELPS.get(one.op, "brings maps into the form that a layer of the KPU takes or makes")
    return _HELPS.get(one.op, "placed there on demand")


def _cpu_rate(hardware: Hardware) -> dict[str, Any]:
    sure = of_cpu(hardware)
    return {"operations_per_second": cpu_time.rate(hardware), "sure": sure.sure, "sources": sure.facts}


def _confidence(found: Prediction) -> Confidence:
    """Of the facts that the KPU's layers rest on, and the CPU's tensor functions."""
    names = {name for row in found.rows for name in row.facts}
    return _least(names | ({"cpu_hz", "cpu_operations_per_cycle"} if found.on_cpu else set()), found)


def _least(names: Iterable[str], found: Prediction) -> Confidence:
    told = found.options.told
    facts: dict[str, Fact] = {
        name: getattr(found.recipe.hardware, name) for name in sorted(names) if name not in told
    }
    worst = max((fact.sure for fact in facts.values()), key=ORDER.index, default=ORDER[0])
    return Confidence(worst, {name: fact.source for name, fact in facts.items() if fact.sure == worst})


def _nodes(found: Prediction) -> list[dict[str, Any]]:
    """A line for every node of the lowered graph; `layer` is the first of the KPU that stands for it."""
    layers: dict[str, Row] = {}
    for row in found.rows:
        for name in row.nodes:
            layers.setdefault(name, row)
    listed = []
    for node in found.graph.nodes:
        own, unit = layers.get(node.name), found.units[node.name]
        if own is None:
            kind = unit if unit == "none" else "cpu"
        else:
            kind = "npu" if node.name == own.nodes[0] else "fused"
        listed.append(
            {
                "name": node.name,
                "op": node.op,
                "origin": list(node.origin or (node.name,)),
                "type": kind,
                "node_backend": f"{kind}_{node.name}" if own is None else f"kpu_function_{own.function}",
                "layer": None if own is None else own.name,
            }
        )
    return listed


def _layer(found: Prediction, row: Row, added: int | None) -> dict[str, Any]:
    busy = row.busy
    return {
        "name": row.name,
        "op": row.op,
        "origin": list(row.origin),
        "unit": "npu",
        "node_backend": f"kpu_function_{row.function}",
        "command_index": row.function,
        "macs": row.macs,
        "macs_added": added,
        "cycles": row.cycles,
        "compute_cycles": busy.compute,
        "mac_cycles": row.array,
        "read_cycles": busy.read,
        "write_cycles": busy.write,
        "weight_cycles": busy.weights,
        "overhead_cycles": busy.overhead,
        "stall_cycles": row.cycles - busy.compute,
        "start_cycle": row.start,
        "end_cycle": row.start + row.cycles,
        "time_ms": found.ms(row.cycles),
        "mac_ms": found.ms(row.array),
        "cfunc_ms": found.ms(row.array),
        "pfunc_ms": found.ms(busy.compute - row.array),
        "read_ms": found.ms(busy.read),
        "write_ms": found.ms(busy.write),
        "weight_ms": found.ms(busy.weights),
        "runtime_ms": found.ms(busy.compute + busy.read + busy.write),
        "sync_ms": found.ms(row.cycles),
        "dram_read": row.read_bytes,
        "dram_write": row.write_bytes,
        "weights": row.weight_bytes,
        "bound": busy.bound(ENGINES),
        "utilisation": row.macs / row.peak / row.cycles,
        "tiles": 1,
        "on_chip": row.on_chip,
        "bits_in": 8,
        "bits_out": 8,
        "bits_weight": 8,
        "format_in": None,
        "format_out": None,
        "confidence": _least(row.facts, found).sure,
        "estimated": False,
    }
