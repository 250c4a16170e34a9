"""Addresses in main memory: inputs, outputs, and what the CPU works in, shared by lifetime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from modelbuild.arithmetic.fixed_model import FixedModel
from modelbuild.formats.kmodel.stackvm_building import Place
from modelbuild.kpu.planning.chains import Chain
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
    """Inputs, and outputs, lie side by side; everything else in `data`, packed."""
    inputs, input_size = _side_by_side(model, model.inputs)
    outputs, output_size = _side_by_side(model, model.outputs)
    first, last, tensors = _lifetimes(storage, executed)
    working = [root for root in first if root not in storage.pins]
    sizes = {root: up(storage.sizes[root], ALIGNMENT) for root in working}
    offsets = allocate([Lifetime(sizes[root], first[root], last[root]) for root in working], EFFORT)
    base = {root: Place("data", offset) for root, offset in zip(working, offsets, strict=True)}
    fixed = {"input": inputs, "output": outputs}
    for root, pin in storage.pins.items():
        if pin.pool in fixed:
            base[root] = Place(pin.pool, fixed[pin.pool][pin.number])
    end = max(len(executed) - 1, 0)
    placements = [
        Placement(
            place.location,
            tuple(tensors.get(root, (root,))),
            place.offset,
            sizes.get(root, storage.sizes[root]),
            0 if place.location == "input" else first.get(root, end),
            end if place.location == "output" else last.get(root, 0),
        )
        for root, place in base.items()
    ]
    placements += [
        Placement("output", (name,), outputs[number], storage.sizes[name], end, end)
        for number, name in storage.copied.items()
    ]
    places = {
        name: Place(base[spot.root].location, base[spot.root].offset + spot.offset)
        for name, spot in storage.spots.items()
        if spot.root in base
    }
    data = max((offset + sizes[root] for root, offset in zip(working, offsets, strict=True)), default=0)
    ordered = sorted(placements, key=lambda item: (item.pool, item.first, item.offset))
    return MainMemory(places, inputs, outputs, input_size, output_size, data, tuple(ordered))


def in_ram(chains: Sequence[Chain], executed: Sequence[Operation]) -> tuple[Placement, ...]:
    """The maps in the KPU's RAM, with the numbers of all operations."""
    starts = {
        operation.chain: number for number, operation in enumerate(executed) if operation.kind == UPLOAD
    }
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


def _lifetimes(
    storage: Storage, executed: Sequence[Operation]
) -> tuple[dict[str, int], dict[str, int], dict[str, list[str]]]:
    """Of each root: the first and the last operation, and the tensors that lie there."""
    first: dict[str, int] = {}
    last: dict[str, int] = {}
    tensors: dict[str, list[str]] = {}
    for number, operation in enumerate(executed):
        for name in (*operation.reads, *operation.writes):
            root = storage.spots[name].root
            first.setdefault(root, number)
            last[root] = number
            if name not in tensors.setdefault(root, []):
                tensors[root].append(name)
    return first, last, tensors
