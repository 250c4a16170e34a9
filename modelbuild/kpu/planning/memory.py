"""Addresses in main memory: inputs, outputs, and what the CPU works in, shared by lifetime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from modelbuild.arithmetic.fixed_model import FixedModel
from modelbuild.formats.kmodel.stackvm_building import Place
from modelbuild.kpu.planning.chains import Chain
from modelbuild.kpu.planning.in_place import written_over
from modelbuild.kpu.planning.maps import dense_bytes
from modelbuild.kpu.planning.operations import UPLOAD, Operation
from modelbuild.kpu.planning.storage import ALIGNMENT, Storage
from modelbuild.npu.planning.allocate import Lifetime, allocate
from modelbuild.npu.planning.memory import up

EFFORT = 200  # orders that are tried where the simple ones leave memory unused


@dataclass(frozen=True)
class Placement:
    """Memory of some tensors: `size` bytes at `offset` of a pool (input | output | data | kpu), held from
    operation `first` to `last`. Operations are numbered in order of execution, uploads and layers of the KPU
    among them. `function` is that of the KPU's module whose RAM it is."""

    pool: str
    tensors: tuple[str, ...]
    offset: int
    size: int
    first: int
    last: int
    function: int | None = None


@dataclass(frozen=True)
class MainMemory:
    """Where tensors of main memory lie; bytes of the pools. Constants have no place here."""

    places: Mapping[str, Place]
    inputs: tuple[int, ...]  # where each input and output of the model begins in its pool
    outputs: tuple[int, ...]
    input: int
    output: int
    data: int
    placements: tuple[Placement, ...]


def main_memory(model: FixedModel, storage: Storage, executed: Sequence[Operation]) -> MainMemory:
    """Inputs, and outputs, lie side by side; everything else in `data`, packed: with results written over
    what they are computed from, unless that takes more."""
    inputs, input_size = _side_by_side(model, model.inputs)
    outputs, output_size = _side_by_side(model, model.outputs)
    used = _used(storage, executed)
    working = [root for root in used if root not in storage.pins]
    over = written_over(
        model,
        storage,
        executed,
        {root: item.first for root, item in used.items()},
        {root: item.last for root, item in used.items()},
    )
    shared = _packed({root: used[root] for root in working}, over, storage)
    apart = _packed({root: used[root] for root in working}, {}, storage)
    data = min((shared, apart), key=lambda item: item.size)
    base = {root: Place("data", item.offset) for item in data.blocks for root in item.tensors}
    fixed = {"input": inputs, "output": outputs}
    for root, pin in storage.pins.items():
        if pin.pool in fixed:
            base[root] = Place(pin.pool, fixed[pin.pool][pin.number])
    places = {
        name: Place(base[spot.root].location, base[spot.root].offset + spot.offset)
        for name, spot in storage.spots.items()
        if spot.root in base
    }
    blocks = [
        replace(item, tensors=tuple(name for root in item.tensors for name in used[root].tensors))
        for item in data.blocks
    ]
    blocks += _borders(model, storage, used, (inputs, outputs), max(len(executed) - 1, 0))
    ordered = tuple(sorted(blocks, key=lambda item: (item.pool, item.first, item.offset)))
    return MainMemory(places, inputs, outputs, input_size, output_size, data.size, ordered)


@dataclass
class _Use:
    """The first and last operation that use a memory, and the tensors in it."""

    first: int
    last: int
    tensors: list[str]


@dataclass(frozen=True)
class _Packed:
    """Blocks of `data`, each of some roots, and the bytes of all."""

    blocks: tuple[Placement, ...]
    size: int


def _packed(used: Mapping[str, _Use], over: Mapping[str, str], storage: Storage) -> _Packed:
    groups: dict[str, list[str]] = {}
    for root in used:
        groups.setdefault(over.get(root, root), []).append(root)
    spans = [
        Lifetime(
            up(storage.sizes[head], ALIGNMENT),
            min(used[root].first for root in roots),
            max(used[root].last for root in roots),
        )
        for head, roots in groups.items()
    ]
    blocks = tuple(
        Placement("data", tuple(roots), offset, span.size, span.first, span.last)
        for roots, span, offset in zip(groups.values(), spans, allocate(spans, EFFORT), strict=True)
    )
    return _Packed(blocks, max((item.offset + item.size for item in blocks), default=0))


def _borders(
    model: FixedModel,
    storage: Storage,
    used: Mapping[str, _Use],
    offsets: tuple[tuple[int, ...], tuple[int, ...]],
    end: int,
) -> list[Placement]:
    """Inputs from the start on, outputs to the `end`."""
    found = []
    for number, name in enumerate(model.inputs):
        root = storage.spots[name].root
        last = used[root].last if root in used else 0
        found.append(Placement("input", (name,), offsets[0][number], storage.sizes[name], 0, last))
    for number, name in enumerate(model.outputs):
        root = storage.spots[name].root
        first = end if number in storage.copied or root not in used else used[root].first
        found.append(Placement("output", (name,), offsets[1][number], storage.sizes[name], first, end))
    return found


def in_ram(chains: Sequence[Chain], executed: Sequence[Operation]) -> tuple[Placement, ...]:
    """The maps in the KPU's RAM, with the numbers of all operations."""
    starts: dict[int | None, int] = {}
    for number, operation in enumerate(executed):
        if operation.kind == UPLOAD:
            starts.setdefault(operation.chain, number)
    return tuple(
        Placement(
            "kpu",
            (item.tensor,),
            chain.address[item.tensor],
            item.size,
            starts[number] + item.first,
            starts[number] + item.last,
            number,
        )
        for number, chain in enumerate(chains)
        for item in chain.maps
    )


def _side_by_side(model: FixedModel, names: Sequence[str]) -> tuple[tuple[int, ...], int]:
    offsets, end = [], 0
    for name in names:
        offsets.append(end)
        end += up(dense_bytes(model.tensors[name]), ALIGNMENT)
    return tuple(offsets), end


def _used(storage: Storage, executed: Sequence[Operation]) -> dict[str, _Use]:
    """By root, in the order of first use."""
    found: dict[str, _Use] = {}
    for number, operation in enumerate(executed):
        for name in (*operation.reads, *operation.writes):
            use = found.setdefault(storage.spots[name].root, _Use(number, number, []))
            use.last = number
            if name not in use.tensors:
                use.tensors.append(name)
    return found
