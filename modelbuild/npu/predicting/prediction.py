"""What a chip will make of a model: the object of evaluate.json, counted on the model's compiled outline."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from math import fsum, prod
from typing import Any

from modelbuild.chips.recipe import Recipe
from modelbuild.graph.model import Graph
from modelbuild.npu.batching import Batched, own_batch, widen
from modelbuild.npu.choices import TILINGS
from modelbuild.npu.compiler import ARITHMETIC, CompiledModel, compile_model
from modelbuild.npu.limits import room
from modelbuild.npu.planning.allocate import Lifetime, lower_bound
from modelbuild.npu.predicting import cpu_time
from modelbuild.npu.predicting.assumptions import Options, assumed
from modelbuild.npu.predicting.bottleneck import together
from modelbuild.npu.predicting.confidence import Confidence, confidence, of_layer
from modelbuild.npu.predicting.predicted_layers import DEPTHWISE, POINTWISE, WINDOW, Counted, Row, rows
from modelbuild.quantize.number_format import Formats, formats_of
from modelbuild.quantize.outline import outline

_MS = 1000.0
_ARRAY = {
    WINDOW: "macs_per_cycle",
    POINTWISE: "macs_per_cycle_pointwise",
    DEPTHWISE: "macs_per_cycle_depthwise",
}


@dataclass(frozen=True)
class Prediction:
    """`recipe` has what the options tell in place of its facts; `rows` are the layers of all units;
    `own_batch` is the model's dimension 0. With deep tiling `default` is what the compiler makes without."""

    options: Options
    recipe: Recipe
    counted: Counted
    batched: Batched
    own_batch: int
    rows: tuple[Row, ...]
    default: CompiledModel | None = None

    @property
    def npu(self) -> tuple[Row, ...]:
        """The layers that the NPU runs."""
        return tuple(row for row in self.rows if row.unit == "npu")

    @property
    def cycles(self) -> int:
        """Of a run."""
        return self.counted.compiled.cycles + sum(row.cycles for row in self.rows if row.estimated)

    @property
    def engines(self) -> int:
        """How many work at once."""
        return self.counted.compiled.rates.engines

    @property
    def repeats(self) -> float:
        """How often a run makes what the model as it is makes once."""
        return self.batched.achieved / self.own_batch

    @property
    def formats(self) -> Formats:
        """The number formats that were assumed."""
        return formats_of(self.recipe.number_format, self.options.settings)

    def ms(self, cycles: float) -> float:
        """Of one inference, for the cycles of a run."""
        return cycles / self.recipe.hardware.clock_hz.value / self.repeats * _MS


def predict(
    graph: Graph, units: Mapping[str, str], recipe: Recipe, options: Options | None = None
) -> Prediction:
    """The counts of a lowered graph, whose nodes run on `units` (npu | fused | cpu | none).

    Raises a `ModelbuildError` for an option that the chip does not have, and where a layer's smallest step
    exceeds the memory on the chip."""
    options = options or Options()
    told = assumed(recipe, options)
    settings = options.settings
    model = outline(graph, units, told, settings)
    own = own_batch(model) or 1
    batched = Batched(model, own) if options.batch is None else widen(model, options.batch)
    countable = replace(batched.model, arithmetic=ARITHMETIC)  # extents count, whatever a chip's numbers are
    given = {"dedicated_output_buffer": options.dedicated_output_buffer}
    default, *deep = (
        compile_model(countable, told, given | {"tiling": tiling}, bytes_wanted=False)
        for tiling in dict.fromkeys((TILINGS[0], options.tiling))
    )
    compiled = deep[0] if deep else default
    weight_bits = min(formats_of(told.number_format, settings).weight_bits, 8)
    counted = Counted(graph, units, batched.model, compiled, weight_bits)
    return Prediction(options, told, counted, batched, own, rows(counted), default if deep else None)


def to_json(found: Prediction, reasons: Mapping[str, str]) -> dict[str, Any]:
    """The object of docs/evaluate.md: ms of one inference; cycles and bytes of a run, which is a
    whole batch. `reasons` say why a node is not on the NPU.

    `time_ms` is the NPU's; `layers` lists the NPU's. `npu_fps` is null where the NPU has nothing to do, `fps`
    where nothing takes time. Nodes that nothing on the chip runs are listed under `unsupported` and take no
    time."""
    graph, units, hardware = found.counted.graph, found.counted.units, found.recipe.hardware
    on_cpu = cpu_time.rows(graph, units, reasons, hardware)
    sure = confidence(hardware, found.rows, found.options.told)
    return {
        "model": graph.name,
        "chip": found.recipe.chip,
        **_times(found, fsum(row["time_ms"] for row in on_cpu)),
        **_confidence(sure),
        "cycles": found.cycles,
        "macs": sum(row.macs for row in found.rows),
        "mac_utilisation": _utilisation(found, found.npu, found.cycles),
        "bound": together(row.busy for row in found.npu).bound(found.engines),
        "batch": found.batched.achieved,
        "batching": {
            "desired": found.options.batch,
            "achieved": found.batched.achieved,
            "reasons": [finding.message for finding in found.batched.reasons],
        },
        "activations": found.formats.activation.name,
        "weights": f"int{found.formats.weight_bits}",
        "tiling": found.options.tiling,
        "deep": _deep(found),
        "groups": len(found.counted.compiled.groups),
        "dram": _traffic(found),
        "stalls": _stalls(found),
        **_energy(found),
        "cpu_nodes": on_cpu,
        "unsupported": [
            {"name": node.name, "op": node.op} for node in graph.nodes if units[node.name] == "none"
        ],
        "memory": _memory(found),
        "fits": found.counted.compiled.memory.dram_peak <= room(found.recipe).bytes,
        "layers": [layer(found, row) for row in found.npu],
    }


def _times(found: Prediction, cpu_ms: float) -> dict[str, float | None]:
    busy = together(row.busy for row in found.npu)
    time_ms, apart_ms, running_ms = (found.ms(each) for each in (found.cycles, busy.total, busy.compute))
    total_ms = time_ms + cpu_ms
    return {
        "fps": _MS / total_ms if total_ms else None,
        "npu_fps": _MS / time_ms if time_ms else None,
        "time_ms": time_ms,
        "cpu_time_ms": cpu_ms,
        "total_ms": total_ms,
        "time_no_overlap_ms": apart_ms,
        "overlap_saved_ms": max(0.0, apart_ms - time_ms),
        "theoretical_ms": found.ms(_least_cycles(found)),
        "running_ms": running_ms,
        "idle_ms": max(0.0, time_ms - running_ms),
    }


def _least_cycles(found: Prediction) -> float:
    """The multiplications of a run at the array's peak for their kind."""
    return fsum(
        row.macs * found.repeats / getattr(found.recipe.hardware, _ARRAY.get(row.kind, _ARRAY[WINDOW])).value
        for row in found.npu
        if row.macs
    )


def _utilisation(found: Prediction, among: tuple[Row, ...], cycles: int) -> float | None:
    """The share of the array's peak that multiplies."""
    macs = sum(row.macs for row in among) * found.repeats
    return macs / (cycles * found.recipe.hardware.macs_per_cycle.value) if macs and cycles else None


def _confidence(sure: Confidence) -> dict[str, Any]:
    return {
        "confidence": sure.sure,
        "confidence_because": sure.because,
        "confidence_sources": sure.facts,
    }


def _traffic(found: Prediction) -> dict[str, Any]:
    """Bytes of a run; `compulsory` are inputs, outputs and weights once."""
    read, write, weights = (
        sum(getattr(row, name) for row in found.npu) for name in ("read_bytes", "write_bytes", "weight_bytes")
    )
    total, seconds = read + write + weights, found.cycles / found.recipe.hardware.clock_hz.value
    held = _memory(found)
    compulsory = round((held["input"] + held["output"]) * found.repeats) + held["weights"]
    return {
        "read": read,
        "write": write,
        "weights": weights,
        "total": total,
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


def _energy(found: Prediction) -> dict[str, Any]:
    power = found.recipe.hardware.power_watts
    if power is None:
        return {"energy_mj": None, "energy_because": "the chip's power is not published"}
    return {"energy_mj": power.value * found.ms(found.cycles), "energy_because": power.source}


def _memory(found: Prediction) -> dict[str, int]:
    """Bytes that the model's borders, maps and weights take, of one inference, and the program's peaks for a
    run; what there is, and the `room` that one model may take of it."""
    graph, hardware, plan = found.counted.graph, found.recipe.hardware, found.counted.compiled.memory
    cell = {name: tensor.dtype.itemsize for name, tensor in found.counted.model.tensors.items()}
    return {
        "feature_maps_peak": round(_live_peak(found) / found.repeats),
        "input": sum(prod(graph.shapes[name]) * cell[name] for name in graph.inputs),
        "output": sum(prod(graph.shapes[name]) * cell[name] for name in graph.outputs),
        "weights": plan.weights,
        "dram_peak": plan.dram_peak,
        "sram_peak": plan.sram_peak,
        "dram": int(hardware.dram_bytes.value),
        "room": room(found.recipe).bytes,
        "sram": int(hardware.sram_bytes.value),
    }


def _live_peak(found: Prediction) -> int:
    """The largest sum of maps that are needed at one time, in the model's order; a reshape makes none."""
    model, last = found.counted.model, len(found.counted.model.operators)
    roots: dict[str, str] = {}
    spans = {name: [0, 0] for name in model.inputs}
    for index, operator in enumerate(model.operators):
        for name in operator.inputs:
            if name not in model.constants:
                spans[roots.get(name, name)][1] = index
        for name in operator.outputs:
            if operator.kind == "reshape" and operator.inputs[0] not in model.constants:
                roots[name] = roots.get(operator.inputs[0], operator.inputs[0])
            else:
                spans[name] = [index, index]
    for name in model.outputs:
        spans.setdefault(roots.get(name, name), [0, 0])[1] = last
    sizes = {name: prod(model.tensors[name].shape) * model.tensors[name].dtype.itemsize for name in spans}
    return lower_bound([Lifetime(sizes[name], first, end) for name, (first, end) in spans.items()])


def layer(found: Prediction, row: Row) -> dict[str, Any]:
    """One of `layers`, with the columns of the vendors' reports and the stalls that they leave out."""
    hardware, busy = found.recipe.hardware, row.busy
    near = [each for each in found.npu if each.group == row.group] if row.group is not None else [row]
    return {
        "name": row.name,
        "op": row.op,
        "origin": list(row.origin),
        "unit": row.unit,
        "node_backend": "_".join(("npu_fusion_node", *(name for each in near for name in each.nodes))),
        "command_index": row.group,
        "macs": row.macs,
        "cycles": row.cycles,
        "compute_cycles": busy.compute,
        "mac_cycles": row.array,
        "read_cycles": busy.read,
        "write_cycles": busy.write,
        "weight_cycles": busy.weights,
        "overhead_cycles": busy.overhead,
        "stall_cycles": row.stall,
        "start_cycle": row.start,
        "end_cycle": row.end,
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
        "bound": busy.bound(found.engines),
        "utilisation": _utilisation(found, (row,), row.cycles),
        "tiles": row.tiles,
        "on_chip": row.on_chip,
        "bits_in": row.bits[0],
        "bits_out": row.bits[1],
        "bits_weight": row.bits_weight,
        "format_in": map_format(found.recipe, row.channels[0], row.bits[0]),
        "format_out": map_format(found.recipe, row.channels[1], row.bits[1]),
        "confidence": of_layer(hardware, row, found.options.told),
        "estimated": row.estimated,
    }


def map_format(recipe: Recipe, channels: int, bits: int) -> str | None:
    """Kneron's name for how a map lies in memory: 16 cells together, of so many columns and channels."""
    if recipe.container.format != "nef":
        return None
    columns = min(int(recipe.hardware.columns_at_once.value), 16)
    shape = "4W4C" if channels <= 4 else f"{columns}W{16 // columns}C"
    return f"{shape}8B{'HL' if bits > 8 else ''}"
