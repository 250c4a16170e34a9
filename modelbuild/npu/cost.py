"""The time of a model on a chip: a roofline per layer from the recipe's array, clock and bandwidths."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, fsum, prod
from typing import Any, get_args

from modelbuild.chips.recipe import Fact, Hardware, Recipe, Sureness
from modelbuild.errors import ModelbuildError
from modelbuild.graph.check import place
from modelbuild.graph.model import Graph
from modelbuild.npu.layers import Layer, layers
from modelbuild.npu.residency import lifetimes, peak, resident
from modelbuild.npu.roofline import Speeds, layer_cycles

_MS = 1000.0


@dataclass(frozen=True)
class Options:
    """What to assume instead of the recipe's facts: the clock in Hz, bandwidths in bytes per second, and how
    many inferences share one loading of the weights."""

    clock_hz: float | None = None
    dram_read_bytes_per_second: float | None = None
    dram_write_bytes_per_second: float | None = None
    weight_bytes_per_second: float | None = None
    batch: int = 1


# Facts that a layer's time rests on, by the kind of its work.
_ARRAY = ("input_channels_at_once", "output_channels_at_once", "columns_at_once")
_FACTS_OF_KIND: dict[str, tuple[str, ...]] = {
    "window": ("macs_per_cycle", *_ARRAY),
    "pointwise": ("macs_per_cycle_pointwise", *_ARRAY),
    "depthwise": ("macs_per_cycle_depthwise", *_ARRAY[1:]),
    "elementwise": ("elementwise_per_cycle",),
    "movement": (),
    "alias": (),
}
_OVERRIDABLE = (
    "clock_hz",
    "dram_read_bytes_per_second",
    "dram_write_bytes_per_second",
    "weight_bytes_per_second",
)
_ALWAYS = ("sram_bytes", "layer_overhead_cycles")
_CPU = ("cpu_hz", "cpu_operations_per_cycle")


def evaluate(
    graph: Graph, units: Mapping[str, str], recipe: Recipe, options: Options | None = None
) -> dict[str, Any]:
    """The `evaluate` object of docs/design.md: ms for one inference on 8-bit operands, sizes in bytes.

    `time_ms` is the NPU's with compute and transfers overlapped inside each layer; the layers follow one
    another; `layers` lists the NPU's. `npu_fps` is null where the NPU has nothing to do, `fps` where nothing
    takes time. Nodes that nothing on the chip runs are listed under `unsupported` and take no time. Raises a
    `ModelbuildError` for an option that is not greater than 0."""
    options = options or Options()
    speeds = _speeds(recipe.hardware, options)
    listed = layers(graph, units)
    sizes = _sizes(graph, listed)
    lives = lifetimes(listed, graph.inputs, graph.outputs)
    borders = (*graph.inputs, *graph.outputs)
    kept = resident(listed, lives, sizes, borders, recipe.hardware.sram_bytes.value)
    npu_rows = [_npu_row(layer, sizes, kept, speeds) for layer in listed if layer.unit == "npu"]
    cpu_rows = _cpu_rows(graph, units, recipe, listed)
    sureness, because = _confidence(recipe.hardware, listed, options)
    return {
        "model": graph.name,
        "chip": recipe.chip,
        **_times(npu_rows, cpu_rows),
        "confidence": sureness,
        "confidence_because": because,
        "cycles": sum(row["cycles"] for row in npu_rows),
        "macs": sum(layer.work.macs for layer in listed),
        "batch": options.batch,
        "cpu_nodes": cpu_rows,
        "unsupported": [{"name": layer.name, "op": layer.op} for layer in listed if layer.unit == "none"],
        "memory": {
            "feature_maps_peak": peak(lives, sizes, len(listed)),
            **_memory(graph, recipe.hardware, listed),
        },
        "layers": npu_rows,
    }


def _times(npu_rows: list[dict[str, Any]], cpu_rows: list[dict[str, Any]]) -> dict[str, float | None]:
    # fsum: from Python 3.12 on, sum adds floats in another way
    time_ms, cpu_time_ms = (fsum(row["time_ms"] for row in rows) for rows in (npu_rows, cpu_rows))
    total_ms = time_ms + cpu_time_ms
    return {
        "fps": _MS / total_ms if total_ms else None,
        "npu_fps": _MS / time_ms if time_ms else None,
        "time_ms": time_ms,
        "cpu_time_ms": cpu_time_ms,
        "total_ms": total_ms,
    }


def _sizes(graph: Graph, listed: tuple[Layer, ...]) -> dict[str, int]:
    """The bytes of each feature map at 8 bits."""
    names = [name for layer in listed for name in (*layer.reads, *layer.writes)]
    return {name: prod(graph.shapes[name]) for name in (*names, *graph.inputs)}


def _memory(graph: Graph, hardware: Hardware, listed: tuple[Layer, ...]) -> dict[str, int]:
    """What the model's borders and weights take, and what there is; bytes."""
    return {
        "input": sum(prod(graph.shapes[name]) for name in graph.inputs),
        "output": sum(prod(graph.shapes[name]) for name in graph.outputs),
        "weights": sum(layer.weights for layer in listed),
        "dram": int(hardware.dram_bytes.value),
        "sram": int(hardware.sram_bytes.value),
    }


def _speeds(hardware: Hardware, options: Options) -> Speeds:
    chosen = {name: _chosen(name, hardware, options) for name in _OVERRIDABLE}
    for name, value in (*chosen.items(), ("batch", options.batch)):
        if not 0 < value < float("inf"):
            raise ModelbuildError(f"the option `{name}` must be greater than 0, not {value}")
    clock = chosen["clock_hz"]
    return Speeds(
        hardware,
        clock,
        chosen["dram_read_bytes_per_second"] / clock,
        chosen["dram_write_bytes_per_second"] / clock,
        chosen["weight_bytes_per_second"] / clock,
        options.batch,
    )


def _chosen(name: str, hardware: Hardware, options: Options) -> float:
    override: float | None = getattr(options, name)
    fact: Fact = getattr(hardware, name)
    return fact.value if override is None else override


def _npu_row(layer: Layer, sizes: Mapping[str, int], kept: frozenset[str], speeds: Speeds) -> dict[str, Any]:
    alias = layer.work.kind == "alias"
    read = 0 if alias else sum(sizes[name] for name in layer.reads if name not in kept)
    write = 0 if alias else sum(sizes[name] for name in layer.writes if name not in kept)
    cycles = layer_cycles(layer, read, write, speeds)
    total = ceil(cycles.total)
    return {
        "name": layer.name,
        "op": layer.op,
        "origin": list(layer.origin),
        "unit": layer.unit,
        "macs": layer.work.macs,
        "cycles": total,
        "compute_cycles": ceil(cycles.compute),
        "time_ms": total / speeds.clock_hz / speeds.batch * _MS,
        "dram_read": read,
        "dram_write": write,
        "weights": layer.weights,
        "bound": cycles.bound,
    }


# Operations of a CPU core for each element of the larger of input and output; unknown, so estimates.
_CPU_OPERATIONS: dict[str, float] = {"alias": 0.0, "movement": 2.0, "elementwise": 4.0}
_CPU_SOFTMAX = 16.0


def _cpu_operations(layer: Layer) -> float:
    if layer.op == "Softmax":
        return layer.work.operations * _CPU_SOFTMAX
    return layer.work.macs + layer.work.operations * _CPU_OPERATIONS.get(layer.work.kind, 0.0)


def _cpu_rows(
    graph: Graph, units: Mapping[str, str], recipe: Recipe, listed: tuple[Layer, ...]
) -> list[dict[str, Any]]:
    on_cpu = [layer for layer in listed if layer.unit == "cpu"]
    reasons = place(graph, recipe).reasons if on_cpu else {}
    rate = recipe.hardware.cpu_hz.value * recipe.hardware.cpu_operations_per_cycle.value
    return [
        {
            "name": layer.name,
            "op": layer.op,
            "reason": reasons.get(layer.name, "placed there on demand"),
            "time_ms": _cpu_operations(layer) / rate * _MS,
        }
        for layer in on_cpu
    ]


def _confidence(hardware: Hardware, listed: tuple[Layer, ...], options: Options) -> tuple[Sureness, str]:
    """The least sure of the facts that the result rests on, and which they are."""
    used = {name for name in _OVERRIDABLE if getattr(options, name) is None} | set(_ALWAYS)
    for layer in listed:
        used.update(_CPU if layer.unit == "cpu" else _FACTS_OF_KIND[layer.work.kind])
    order: tuple[Sureness, ...] = get_args(Sureness)
    facts: dict[str, Fact] = {name: getattr(hardware, name) for name in sorted(used)}
    worst = max((fact.sure for fact in facts.values()), key=order.index)
    return worst, ", ".join(name for name, fact in facts.items() if fact.sure == worst)
