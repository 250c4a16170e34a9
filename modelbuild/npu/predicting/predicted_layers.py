"""A prediction's layers: nodes of the lowered graph, each with what was fused into it, and their counts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, prod
from typing import Any

from modelbuild.arithmetic.fixed_model import FixedModel, FixedOperator
from modelbuild.graph.model import Graph, Node
from modelbuild.graph.statistics import node_macs
from modelbuild.npu.compiler import CompiledModel
from modelbuild.npu.emitting.layer_plan import LayerPlan
from modelbuild.npu.predicting.bottleneck import Busy, together
from modelbuild.npu.program.header import RATE_CYCLES
from modelbuild.quantize.outline import OPAQUE

WINDOW, POINTWISE, DEPTHWISE, ELEMENTWISE = "window", "pointwise", "depthwise", "elementwise"
_PRODUCTS = ("conv", "gemm", "matmul")


@dataclass(frozen=True)
class Map:
    """A feature map that a layer reads or makes, and how many channels and bits it has."""

    name: str
    channels: int
    bits: int


@dataclass(frozen=True)
class Row:
    """A layer. Cycles and bytes are of a run (a whole batch), `macs`, which are those that are executed, of
    one inference.

    `kind` is how the array maps its multiplications, elementwise without any; `array` the cycles of these,
    `busy` of all. `cycles` add up to the program's. `inputs` are the maps that it reads of others, `outputs`
    those of its last operator; of 8-bit weights `bits_weight` may be fewer. `estimated`: it has no
    fixed-point form, so that no code was counted.
    """

    name: str
    op: str
    origin: tuple[str, ...]
    unit: str
    kind: str
    nodes: tuple[str, ...]
    macs: int
    busy: Busy
    array: int
    cycles: int
    stall: int
    start: int
    end: int
    read_bytes: int
    write_bytes: int
    weight_bytes: int
    tiles: int
    group: int | None
    on_chip: bool
    inputs: tuple[Map, ...]
    outputs: tuple[Map, ...]
    bits_weight: int | None
    estimated: bool = False

    @property
    def bits(self) -> int:
        """Of the widest of its maps."""
        return max((each.bits for each in (*self.inputs, *self.outputs)), default=8)


@dataclass(frozen=True)
class Counted:
    """A lowered graph, its outline, and what the compiler made of that. `weight_bits`: of constants that lie
    in 8 bits; `repeats`: inferences of the graph that are in the outline."""

    graph: Graph
    units: Mapping[str, str]
    model: FixedModel
    compiled: CompiledModel
    weight_bits: int = 8
    repeats: float = 1.0


def rows(counted: Counted) -> tuple[Row, ...]:
    """The layers of all units, in the graph's order."""
    heads = _heads(counted)
    nodes: dict[str, list[Node]] = {}
    operators: dict[str, list[FixedOperator]] = {}
    plans: dict[str, list[tuple[int, LayerPlan]]] = {}
    for node in counted.graph.nodes:
        nodes.setdefault(heads[node.name], []).append(node)
    for operator in counted.model.operators:
        operators.setdefault(heads[operator.origin[0]], []).append(operator)
    for place, plan in enumerate(counted.compiled.layers):
        plans.setdefault(heads[plan.origin[0]], []).append((place, plan))
    overheads = _overheads(counted.compiled)
    found = []
    for head, members in nodes.items():
        own = plans.get(head, [])
        overhead = sum(overheads.get(place, 0) for place, _ in own)
        made = _row(counted, members, operators[head], [plan for _, plan in own], overhead)
        lost = made.unit == "npu" and operators[head][0].kind == OPAQUE
        found.append(_estimated(counted, members, made) if lost else made)
    return tuple(found)


def _heads(counted: Counted) -> dict[str, str]:
    """Node -> the first node of its layer: fused nodes belong to what the NPU makes as their first input,
    nodes of one operator to its first."""
    first = {name: operator.origin[0] for operator in counted.model.operators for name in operator.origin}
    made_by: dict[str, str] = {}
    found: dict[str, str] = {}
    for node in counted.graph.nodes:
        leader = first.get(node.name, node.name)
        before = made_by.get(node.inputs[0]) if counted.units[node.name] == "fused" else None
        found[node.name] = found.get(leader) or before or leader
        if _unit(counted, found[node.name]) == "npu":
            made_by.update((output, found[node.name]) for output in node.outputs)
    return found


def _unit(counted: Counted, node: str) -> str:
    """npu, cpu or none: what is fused with nothing is the NPU's like all that is fused."""
    unit = counted.units[node]
    return "npu" if unit == "fused" else unit


def _overheads(compiled: CompiledModel) -> dict[int, int]:
    """Place of a group's first operator -> what the group costs by itself."""
    return {group.members[0]: compiled.rates.layer_overhead for group in compiled.groups}


def _row(
    counted: Counted,
    nodes: Sequence[Node],
    operators: Sequence[FixedOperator],
    plans: Sequence[LayerPlan],
    overhead: int,
) -> Row:
    first = nodes[0]
    coded = [plan for plan in plans if plan.end > plan.start]
    widths = [bits for operator in operators if (bits := _weight_bits(counted, operator))]
    kinds = [kind for operator in operators if (kind := _kind(counted.model, operator))]
    return Row(
        name=first.name,
        op=first.op,
        origin=tuple(dict.fromkeys(name for node in nodes for name in node.origin or (node.name,))),
        unit=_unit(counted, first.name),
        kind=next(iter(kinds), ELEMENTWISE),
        nodes=tuple(node.name for node in nodes),
        macs=_executed(counted, nodes, operators),
        busy=together([*map(_busy, coded), Busy(overhead=overhead)]),
        array=sum(plan.compute_cycles for plan in coded if plan.kind in _PRODUCTS),
        cycles=sum(plan.cycles for plan in plans),
        stall=sum(plan.stall_cycles for plan in plans),
        start=min((plan.start for plan in coded), default=0),
        end=max((plan.end for plan in coded), default=0),
        read_bytes=sum(plan.dram_read for plan in coded),
        write_bytes=sum(plan.dram_write for plan in coded),
        weight_bytes=sum(plan.weight_bytes for plan in coded),
        tiles=sum(plan.tiles for plan in coded),
        group=next((plan.group for plan in coded if plan.group is not None), None),
        on_chip=bool(coded) and coded[-1].on_chip,
        inputs=_maps(counted.model, _read(counted.model, operators)),
        outputs=_maps(counted.model, operators[-1].outputs),
        bits_weight=max(widths, default=None),
    )


def _executed(counted: Counted, nodes: Sequence[Node], operators: Sequence[FixedOperator]) -> int:
    """Multiplications of one inference: those of the graph, but for a transposed convolution on the NPU,
    which works on maps with zeros between the cells."""
    own = sum(node_macs(counted.graph, node) for node in nodes)
    on_npu = _unit(counted, nodes[0].name) == "npu"
    if not on_npu or not any(node.op == "ConvTranspose" for node in nodes):
        return own
    tensors, constants = counted.model.tensors, counted.model.constants
    widened = sum(
        prod(tensors[operator.outputs[0]].shape) * prod(constants[operator.constants["weight"]].shape[1:])
        for operator in operators
        if operator.kind == "conv"
    )
    return round(widened / counted.repeats) or own


def _read(model: FixedModel, operators: Sequence[FixedOperator]) -> list[str]:
    """What operators read of others, each once; what depends on no input is none of it."""
    made = {name for operator in operators for name in operator.outputs}
    read = dict.fromkeys(name for operator in operators for name in operator.inputs)
    return [name for name in read if name not in made and name not in model.constants]


def _maps(model: FixedModel, names: Iterable[str]) -> tuple[Map, ...]:
    tensors = [model.tensors[name] for name in names]
    return tuple(Map(each.name, _channels(each.shape), each.bits) for each in tensors)


def _busy(plan: LayerPlan) -> Busy:
    return Busy(plan.compute_cycles, plan.read_cycles, plan.write_cycles, plan.weight_cycles)


def _estimated(counted: Counted, nodes: Sequence[Node], row: Row) -> Row:
    """A layer that the chip runs and that has no fixed-point form: its cells, or multiplications without
    rounding, and its maps to and from DRAM once."""
    graph, rates = counted.graph, counted.compiled.rates
    shapes = {**graph.shapes, **{name: value.shape for name, value in graph.constants.items()}}
    named = dict.fromkeys(name for node in nodes for name in node.inputs if name)
    maps = [prod(shapes[name]) for name in named if name not in graph.constants]
    made = sum(prod(shapes[name]) for name in nodes[-1].outputs if name)
    held = sum(prod(shapes[name]) for name in named if name in graph.constants)
    work, rate = (row.macs, rates.macs) if row.macs else (max(*maps, made, 0), rates.elements)
    busy = Busy(
        compute=_cycles(work, rate),
        read=_cycles(sum(maps), rates.read_bytes),
        write=_cycles(made, rates.write_bytes),
        weights=_cycles(held, rates.weight_bytes),
        overhead=rates.layer_overhead,
    )
    longest = max(busy.compute, busy.read, busy.write, busy.weights) + busy.overhead
    cycles = busy.total if rates.engines == 1 else longest
    counts: dict[str, Any] = {"busy": busy, "array": busy.compute if row.macs else 0, "cycles": cycles}
    counts |= {"stall": cycles - busy.compute, "read_bytes": sum(maps), "write_bytes": made}
    return Row(**{**vars(row), **counts, "weight_bytes": held, "tiles": 1, "estimated": True})


def _cycles(amount: int, rate: int) -> int:
    """Of an amount at a rate per RATE_CYCLES cycles."""
    return ceil(amount * RATE_CYCLES / rate)


def _channels(shape: tuple[int, ...]) -> int:
    return shape[1] if len(shape) > 1 else 1


def _kind(model: FixedModel, operator: FixedOperator) -> str | None:
    """How the array maps an operator's multiplications; None for what has none."""
    if operator.kind != "conv":
        return POINTWISE if operator.kind in _PRODUCTS else None
    outputs, inputs, height, width = model.constants[operator.constants["weight"]].shape
    group = operator.parameters["group"]
    if inputs == 1 and (group != 1 or outputs == 1):
        return DEPTHWISE
    return POINTWISE if height == width == 1 else WINDOW


def _weight_bits(counted: Counted, operator: FixedOperator) -> int | None:
    if "weight" not in operator.constants:
        return None
    size = counted.model.constants[operator.constants["weight"]].dtype.itemsize
    return 8 * size if size > 1 else counted.weight_bits
