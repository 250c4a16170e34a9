"""The memory plan of a kmodel as geometry: what lies where in both memories, while its operations run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import Field

from modelbuild.report import text
from modelbuild.report.item import Item

WIDTH = 920.0
LEFT, RIGHT, TOP, BOTTOM = 84.0, 8.0, 26.0, 34.0
LANE, GAP, STRIP = 180.0, 44.0, 12.0
_LETTER = 6.2  # how wide a letter of 11 px is, nearly
_LABELS_ACROSS = 30
# Pool of a placement -> the lane, and the order from its bottom.
_LANES: Mapping[str, tuple[str, ...]] = {
    "KPU RAM": ("kpu",),
    "General RAM: inputs, outputs, working memory": ("data", "input", "output"),
}
_ON_KPU = {"kpu_upload": "dma", "kpu_conv2d": "compute"}


class Placed(Item):
    """Bytes at `offset` of a pool (input | output | data | kpu) that hold tensors from operation `first` to
    `last`."""

    pool: str
    tensors: tuple[str, ...]
    offset: int
    size: int
    first: int
    last: int


class Operation(Item):
    """An operation in order of execution, and the operator of the fixed model that it belongs to. Predicted:
    cycles of the KPU (None of the CPU's functions), and ms with their parts: uploads and downloads of maps,
    the KPU's work, its weights, what starts a layer, the CPU's work; of `bytes` that move."""

    name: str
    operator: str
    writes: tuple[str, ...] = ()
    unit: str = ""
    cycles: int | None = None
    bytes: int = 0
    upload_ms: float = 0.0
    compute_ms: float = 0.0
    weights_ms: float = 0.0
    download_ms: float = 0.0
    overhead_ms: float = 0.0
    cpu_ms: float = 0.0
    time_ms: float = 0.0


class MemoryPlan(Item):
    """What compile.json has of a kmodel: `placements`, and the operations that are `executed`; of these all
    together, `times` has the ms."""

    placements: tuple[Placed, ...]
    executed: tuple[Operation, ...]
    times: dict[str, float] = Field(default_factory=dict)


@dataclass(frozen=True)
class Block:
    """A rectangle in the units of the view box, the text shown when pointed at, its colour's class, and a
    label where one has room."""

    x: float
    y: float
    width: float
    height: float
    title: str
    kind: str
    label: str = ""


@dataclass(frozen=True)
class Lane:
    """A memory: its name, how much of it is used at most, and its blocks, addresses upwards."""

    name: str
    top: float
    bottom: float
    most: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Mark:
    """A place on the axis and its number."""

    at: float
    text: str


@dataclass(frozen=True)
class Picture:
    """Lanes over one axis of operations, which `steps` draws as a strip: uploads, layers, the CPU's."""

    lanes: tuple[Lane, ...]
    steps: tuple[Block, ...]
    numbers: tuple[Mark, ...]
    right: float
    height: float
    width: float = WIDTH
    left: float = LEFT


def plan_of(compiled: Mapping[str, Any]) -> MemoryPlan | None:
    """From compile.json; None of a program that has no such plan."""
    if "placements" not in compiled or "executed" not in compiled:
        return None
    return MemoryPlan(
        placements=compiled["placements"],
        executed=compiled["executed"],
        times=compiled.get("times") or {},
    )


def picture(plan: MemoryPlan | None) -> Picture | None:
    """The drawing, or None where there is nothing to draw. Each lane has a scale of its own."""
    if plan is None or not plan.executed:
        return None
    slot = (WIDTH - LEFT - RIGHT) / len(plan.executed)
    lanes: list[Lane] = []
    top = TOP
    for name, pools in _LANES.items():
        own = _stacked([item for item in plan.placements if item.pool in pools], pools)
        if own:
            lanes.append(_lane(name, own, top, slot))
            top += LANE + GAP
    strip = top - GAP + 8
    every = -(-len(plan.executed) // _LABELS_ACROSS)
    shown = [index for index in range(len(plan.executed)) if index == 0 or (index + 1) % every == 0]
    return Picture(
        tuple(lanes),
        tuple(_step(index, each, slot, strip) for index, each in enumerate(plan.executed)),
        tuple(Mark(_r(LEFT + slot * (index + 0.5)), str(index + 1)) for index in shown),
        WIDTH - RIGHT,
        _r(strip + STRIP + BOTTOM),
    )


def _stacked(placed: Sequence[Placed], pools: Sequence[str]) -> list[tuple[int, Placed]]:
    """Each with its address in the lane: pools stand upon each other."""
    found: list[tuple[int, Placed]] = []
    base = 0
    for pool in pools:
        own = [item for item in placed if item.pool == pool]
        found += [(base + item.offset, item) for item in own]
        base += max((item.offset + item.size for item in own), default=0)
    return found


def _lane(name: str, placed: Sequence[tuple[int, Placed]], top: float, slot: float) -> Lane:
    most = max(address + item.size for address, item in placed)
    scale = LANE / most

    def block(address: int, item: Placed) -> Block:
        names = ", ".join(item.tensors)
        width, height = slot * (item.last - item.first + 1), item.size * scale
        letters = int((width - 8) / _LETTER)
        label = item.tensors[0] if height >= 14 and letters >= 3 and item.tensors else ""
        return Block(
            _r(LEFT + slot * item.first),
            _r(top + LANE - (address + item.size) * scale),
            _r(width),
            _r(height),
            f"{names}: {text.size(item.size)} at {item.offset:,} of {item.pool}, "
            f"operations {item.first + 1} to {item.last + 1}",
            item.pool,
            label if len(label) <= letters else label[: letters - 1] + "…",
        )

    return Lane(name, top, top + LANE, text.size(most), tuple(block(*each) for each in placed))


def _step(index: int, operation: Operation, slot: float, top: float) -> Block:
    took = f", {text.number(operation.time_ms)} ms" if operation.time_ms else ""
    title = f"{index + 1}: {operation.name}, {operation.operator}{took}"
    kind = _ON_KPU.get(operation.name, "cpu")
    return Block(_r(LEFT + slot * index), _r(top), _r(slot), STRIP, title, kind)


def _r(value: float) -> float:
    return round(value, 2)
