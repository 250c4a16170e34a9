"""What compile says of each operator and of each group: cycles, bytes moved, memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from modelbuild.arithmetic.fixed_model import FixedModel
from modelbuild.npu.emitting.emitter import Cost
from modelbuild.npu.emitting.timeline import ENGINES
from modelbuild.npu.planning.forms import form
from modelbuild.npu.planning.plan import Group


@dataclass(frozen=True)
class LayerPlan:
    """One operator: predicted cycles, bytes moved. `outputs` are (tensor, address, bytes) of those in DRAM.

    `cycles` is by how many the program is longer for it, so that those of all operators add up to the
    program's; `*_cycles` are those that each engine works on it, between `start` and `end`; `stall_cycles`
    those of `cycles` in which the array does not; `overhead_cycles` those of
    its group's barrier, if it is the first. All are 0 on the cpu, whose time is not the NPU's.
    """

    name: str
    origin: tuple[str, ...]
    kind: str
    unit: str  # npu | cpu
    tiles: int
    cycles: int
    dram_read: int
    dram_write: int
    weight_bytes: int
    sram_peak: int
    outputs: tuple[tuple[str, int, int], ...]
    group: int | None  # its number among the groups; None on the cpu, and without code
    on_chip: bool  # no output reaches DRAM
    compute_cycles: int
    read_cycles: int
    write_cycles: int
    weight_cycles: int
    overhead_cycles: int
    start: int
    end: int
    stall_cycles: int


@dataclass(frozen=True)
class GroupPlan:
    """Operators that are executed together (numbers of `layers`), from cycle `start` to `end`, and the maps
    that lie in SRAM meanwhile because a later group reads them."""

    members: tuple[int, ...]
    start: int
    end: int
    compute_cycles: int
    read_cycles: int
    write_cycles: int
    weight_cycles: int
    dram_read: int
    dram_write: int
    weight_bytes: int
    sram_peak: int
    tiles: int
    kept: tuple[str, ...]


def layer_plan(
    model: FixedModel,
    index: int,
    cost: Cost,
    places: Sequence[tuple[str, int | None]],
    group: int | None,
) -> LayerPlan:
    """`places`: each output and its address in DRAM, if it has one."""
    operator = model.operators[index]
    timed = cost if operator.unit == "npu" else Cost()
    return LayerPlan(
        name=operator.name,
        origin=operator.origin,
        kind=operator.kind,
        unit=operator.unit,
        tiles=cost.tiles,
        cycles=timed.cycles,
        dram_read=cost.dram_read,
        dram_write=cost.dram_write,
        weight_bytes=cost.weight_bytes,
        sram_peak=cost.sram_peak,
        outputs=tuple(
            (name, address, form(model.tensors[name]).size) for name, address in places if address is not None
        ),
        group=group,
        on_chip=all(address is None for _, address in places),
        **_engine_cycles([timed]),
        overhead_cycles=timed.overhead,
        start=max(0, timed.start),
        end=timed.end,
        stall_cycles=max(0, timed.cycles - timed.busy("compute")),
    )


def group_plan(model: FixedModel, group: Group, costs: Sequence[Cost], span: tuple[int, int]) -> GroupPlan:
    """A group whose operators cost `costs`."""
    return GroupPlan(
        members=group.members,
        start=span[0],
        end=span[1],
        **_engine_cycles(costs),
        dram_read=sum(cost.dram_read for cost in costs),
        dram_write=sum(cost.dram_write for cost in costs),
        weight_bytes=sum(cost.weight_bytes for cost in costs),
        sram_peak=max((cost.sram_peak for cost in costs), default=0),
        tiles=sum(cost.tiles for cost in costs),
        kept=group.kept,
    )


_NAMES = {"weights": "weight_cycles"}


def _engine_cycles(costs: Sequence[Cost]) -> dict[str, int]:
    return {
        _NAMES.get(engine, f"{engine}_cycles"): sum(cost.busy(engine) for cost in costs) for engine in ENGINES
    }
