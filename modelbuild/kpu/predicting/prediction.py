"""What a chip with a KPU will make of a model: the operations of its compiled outline, each with its time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from modelbuild.arithmetic.fixed_model import FixedModel, FixedOperator
from modelbuild.chips.recipe import Hardware, Recipe
from modelbuild.errors import ModelbuildError
from modelbuild.formats.kmodel.kpu_registers import row_layout
from modelbuild.graph.model import Graph
from modelbuild.kpu.compiler import Compiled, compile_model
from modelbuild.kpu.cycles import DMA_COLUMNS
from modelbuild.kpu.planning.maps import JOINS
from modelbuild.kpu.predicting.outline import outline
from modelbuild.kpu.predicting.rates import Work
from modelbuild.kpu.predicting.timeline import COPY, UPLOAD, Timed, timeline
from modelbuild.npu.choices import TILINGS
from modelbuild.npu.predicting import cpu_time
from modelbuild.npu.predicting.assumptions import Options, assumed
from modelbuild.npu.predicting.bottleneck import Busy
from modelbuild.quantize.number_format import Formats, formats_of
from modelbuild.quantize.split_record import of_metadata

ENGINES = 1  # the CPU waits for the KPU, and copies its maps
_MS = 1e3
_ROOMY = 1e15


@dataclass(frozen=True)
class Row:
    """A layer of the KPU: `name` is the fixed model's operator, `nodes` those of the lowered graph. Of a run:
    cycles, `macs` that are executed, bytes by DMA or CPU to the KPU's RAM and from it; those of `weights`.
    `on_chip`: what it makes stays in the KPU's RAM; `facts` of the recipe decide."""

    name: str
    op: str
    origin: tuple[str, ...]
    nodes: tuple[str, ...]
    function: int
    macs: int
    peak: float
    array: int
    busy: Busy
    start: int
    read_bytes: int
    write_bytes: int
    weight_bytes: int
    on_chip: bool
    facts: tuple[str, ...]

    @property
    def cycles(self) -> int:
        """All of it, one after the other."""
        return self.busy.total


@dataclass(frozen=True)
class OnCpu:
    """A tensor function: the fixed model's operator, or a node that nothing lowers."""

    name: str
    op: str
    nodes: tuple[str, ...]
    work: Work
    macs: int = 0
    estimated: bool = False


@dataclass(frozen=True)
class Prediction:
    """`recipe` has what the options tell in place of its facts; `model` is the outline; `left_out`: nodes
    that it lacks, and why. `is_built`: the model is the real one, `graph` has the nodes that `quantize`
    divided, and `wholes` says of which each of these is a part."""

    graph: Graph
    units: Mapping[str, str]
    options: Options
    recipe: Recipe
    model: FixedModel
    compiled: Compiled
    rows: tuple[Row, ...]
    on_cpu: tuple[OnCpu, ...]
    left_out: Mapping[str, str] = field(default_factory=dict)
    is_built: bool = False
    wholes: Mapping[str, str] = field(default_factory=dict)

    @property
    def cycles(self) -> int:
        """Of the KPU's layers and their maps' ways to it and back."""
        return sum(row.cycles for row in self.rows)

    @property
    def pictures(self) -> int:
        """Dimension 0 of the model's inputs."""
        shapes = (self.graph.shapes[name] for name in self.graph.inputs)
        return next((shape[0] for shape in shapes if shape), 1)

    @property
    def formats(self) -> Formats:
        """The number formats that were assumed."""
        return formats_of(self.recipe.number_format, self.options.settings)

    def ms(self, cycles: float) -> float:
        """Of cycles of the KPU's clock."""
        return cycles / self.recipe.hardware.clock_hz.value * _MS

    def cpu_ms(self, operations: float) -> float:
        """Of operations of the CPU."""
        return operations / cpu_time.rate(self.recipe.hardware) * _MS

    @property
    def constant_bytes(self) -> int:
        """Weights and tables of the KPU, of an outline as if no two were equal, but for those that the chip
        asks for."""
        if self.is_built:
            return self.compiled.memory.sizes.kpu_constants
        layers = [each for each in self.model.operators if each.kind == "kpu_conv"]
        weights = (self.model.constants[each.constants["weight"]] for each in layers)
        kept = {(id(weight) if _is_unknown(weight) else weight.tobytes()): weight for weight in weights}
        return sum(weight.size + 8 * len(weight) + 256 for weight in kept.values())

    @property
    def kmodel_bytes(self) -> int:
        """Of the file, whose constants the outline has once where they are zeros."""
        sizes = self.compiled.memory.sizes
        return sizes.kmodel - sizes.kpu_constants + self.constant_bytes


def predict(
    graph: Graph,
    units: Mapping[str, str],
    recipe: Recipe,
    options: Options | None = None,
) -> Prediction:
    """The counts of a lowered graph, whose nodes run on `units` (npu | fused | cpu | none).

    Raises (exit 2) for an option that the chip does not have, and where a layer does not fit the KPU."""
    options = options or Options()
    _check(options, recipe)
    found = outline(graph, units, recipe.with_sram(_sram(options)), options.settings, options.ports or {})
    return _timed(graph, units, recipe, options, found.model, found.left_out)


def of_built(
    graph: Graph,
    units: Mapping[str, str],
    recipe: Recipe,
    fixed: FixedModel,
    compiled: Compiled | None = None,
    options: Options | None = None,
) -> Prediction:
    """Of the fixed model that was made of a lowered graph: what calibration decided is in it. `compiled`: its
    kmodel, where it is there already. Raises as `predict`."""
    options = options or Options()
    _check(options, recipe)
    divided = of_metadata(graph, fixed.metadata)
    found = _timed(divided.graph, divided.units(units), recipe, options, fixed, {}, compiled)
    return replace(found, is_built=True, wholes=divided.origin)


def _timed(
    graph: Graph,
    units: Mapping[str, str],
    recipe: Recipe,
    options: Options,
    model: FixedModel,
    left_out: Mapping[str, str],
    compiled: Compiled | None = None,
) -> Prediction:
    supposed, room = assumed(recipe, options), _sram(options)
    given = {} if room is None else {"sram_bytes": room}
    made = compiled or compile_model(model, _roomy(recipe), given, is_valid=True)
    timed = timeline(model, made.executed, supposed.hardware)
    rows = tuple(_rows(graph, model, timed, supposed.hardware))
    on_cpu = (*_on_cpu(model, timed), *_estimated(graph, units, left_out))
    return Prediction(graph, units, options, supposed, model, made, rows, on_cpu, left_out)


def _sram(options: Options) -> int | None:
    return None if options.sram_bytes is None else int(options.sram_bytes)


def at(found: Prediction, recipe: Recipe) -> Prediction:
    """The same program by other rates of the hardware."""
    timed = timeline(found.model, found.compiled.executed, recipe.hardware)
    rows = _rows(found.graph, found.model, timed, recipe.hardware)
    return replace(found, recipe=recipe, rows=tuple(rows))


def _is_unknown(weight: np.ndarray[Any, Any]) -> bool:
    """Whether these are the zeros that stand for a model's weights; strips of one layer share them."""
    return bool(weight.min() == weight.max())


def _check(options: Options, recipe: Recipe) -> None:
    for name, value, usual in (
        ("tiling", options.tiling, TILINGS[0]),
        ("batch", options.batch or 1, 1),
    ):
        if value != usual:
            raise ModelbuildError(
                f"{recipe.chip} has no {name} to choose",
                why="a kmodel takes the pictures that the model was exported for, one layer after the other",
                advice=f"leave `{name}` out",
            )


def _roomy(recipe: Recipe) -> Recipe:
    """With room for any model: whether it fits is said, and no reason to say nothing of its speed."""
    room = recipe.hardware.dram_bytes.model_copy(update={"value": _ROOMY})
    return recipe.model_copy(
        update={
            "hardware": recipe.hardware.model_copy(update={"dram_bytes": room}),
            "container": recipe.container.model_copy(update={"max_model_bytes": None}),
        }
    )


def _rows(graph: Graph, model: FixedModel, timed: Sequence[Timed], hardware: Hardware) -> Sequence[Row]:
    """Layers; what is uploaded for one counts as its own."""
    operators = {each.name: each for each in model.operators}
    found: list[Row] = []
    uploads: list[Timed] = []
    clock = 0
    for one in timed:
        if one.step.name == UPLOAD:
            uploads.append(one)
        elif one.array is not None:
            row = _row(graph, operators[one.step.operator], one, hardware, clock)
            if uploads:
                busy = replace(row.busy, read=sum(each.busy.read for each in uploads))
                size = sum(each.read_bytes for each in uploads)
                facts = (*row.facts, *(fact for each in uploads for fact in each.facts))
                row = replace(row, busy=busy, read_bytes=size, facts=facts)
            uploads = []
            clock += row.cycles
            found.append(row)
    return found


def _row(graph: Graph, operator: FixedOperator, one: Timed, hardware: Hardware, start: int) -> Row:
    assert one.array is not None
    return Row(
        operator.name,
        _op(graph, operator),
        _origin(graph, operator),
        operator.origin,
        one.step.function,
        one.array.macs,
        getattr(hardware, one.peak).value,
        one.array.array,
        one.busy,
        start,
        0,
        one.write_bytes,
        one.weight_bytes,
        not one.write_bytes,
        one.facts,
    )


def _op(graph: Graph, operator: FixedOperator) -> str:
    """Of the node that leads."""
    return next((node.op for node in graph.nodes if node.name in operator.origin), operator.kind)


def _origin(graph: Graph, operator: FixedOperator) -> tuple[str, ...]:
    nodes = {node.name: node for node in graph.nodes}
    named = [nodes[name] for name in operator.origin if name in nodes]
    return tuple(dict.fromkeys(name for node in named for name in node.origin or (node.name,)))


def _on_cpu(model: FixedModel, timed: Sequence[Timed]) -> Sequence[OnCpu]:
    """The tensor functions in order of execution; copies of one concatenation are one."""
    operators = {each.name: each for each in model.operators}
    found: dict[str, OnCpu] = {}
    outputs = 0
    for one in timed:
        if one.work is None:
            continue
        operator = operators[one.step.operator]
        if one.step.name == COPY and operator.kind not in JOINS:
            outputs += one.work.bytes
        elif operator.name in found:
            before = found[operator.name].work
            moved = before.bytes + one.work.bytes
            found[operator.name] = replace(found[operator.name], work=Work(moved, before.of, moved))
        else:
            macs = one.work.operations if one.work.of == "multiplications" else 0
            found[operator.name] = OnCpu(operator.name, operator.kind, operator.origin, one.work, macs)
    listed = list(found.values())
    if outputs:
        listed.append(OnCpu("outputs", "Copy", (), Work(outputs, "bytes moved", outputs)))
    return listed


def _estimated(graph: Graph, units: Mapping[str, str], left_out: Mapping[str, str]) -> Sequence[OnCpu]:
    """Nodes that are to be on the chip, and that nothing lowers."""
    return [
        OnCpu(node.name, node.op, (node.name,), Work(done.operations, done.of, done.bytes), 0, True)
        for node in graph.nodes
        if node.name in left_out and units[node.name] != "none"
        for done in (cpu_time.work(graph, node),)
    ]


def strip_use(width: int) -> float:
    """The share of a row of 64 bytes that a map of this width fills."""
    groups, rows = row_layout(width)
    return width * groups / (DMA_COLUMNS * rows)
