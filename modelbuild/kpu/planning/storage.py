"""Tensors that share main memory: those that only look at others, and parts of a concatenation."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np

from modelbuild.arithmetic.binding import Bound, bind
from modelbuild.arithmetic.fixed_model import FixedModel
from modelbuild.kpu.planning.maps import JOINS, dense_bytes

ALIGNMENT = 8  # of what lies in main memory, as nncase has it
DMA_COLUMNS = 64  # maps of such widths are uploaded by the DMA, which takes addresses that are aligned


@dataclass(frozen=True)
class Pin:
    """Memory that is not ours to place: input `number` of the model, output `number`, or a constant."""

    pool: str  # input | output | rdata
    number: int = 0


@dataclass(frozen=True)
class Spot:
    """A tensor begins at byte `offset` of the memory of `root`."""

    root: str
    offset: int


@dataclass(frozen=True)
class Storage:
    """Where each tensor lies. `pins` are roots with their places; `free` operators (by index) need no code,
    `inside` are the positions of concats' inputs that are made in place; `copied` are outputs of the model,
    by number, that must be copied from where they were made."""

    spots: Mapping[str, Spot]
    sizes: Mapping[str, int]
    pins: Mapping[str, Pin]
    free: frozenset[int]
    inside: Mapping[int, frozenset[int]]
    copied: Mapping[int, str]


@dataclass
class _Sharing:
    """Memories in the making: each tensor has one of its own until it is joined to another's."""

    sizes: dict[str, int]
    aligned: frozenset[str]
    above: dict[str, Spot] = field(default_factory=dict)
    below: dict[str, list[str]] = field(default_factory=dict)
    pins: dict[str, Pin] = field(default_factory=dict)

    def spot(self, name: str) -> Spot:
        """The root and the offset there."""
        offset = 0
        while name in self.above:
            found = self.above[name]
            name, offset = found.root, offset + found.offset
        return Spot(name, offset)

    def join(self, name: str, target: str, offset: int) -> bool:
        """Whether `name` lies at byte `offset` of `target` from now on: its whole memory must fit into its
        own bytes, must not be pinned unless it is all of the target's, and uploads must stay aligned."""
        own, other = self.spot(name), self.spot(target)
        if own.root == other.root:
            return own.offset == other.offset + offset
        if own.offset or self.sizes[own.root] != self.sizes[name]:
            return False
        place = other.offset + offset
        if own.root in self.pins:
            whole = place == 0 and self.sizes[own.root] == self.sizes[other.root]
            if not whole or other.root in self.pins:
                return False
        members = [own.root, *self.below.get(own.root, ())]
        if any(item in self.aligned and (place + self.spot(item).offset) % ALIGNMENT for item in members):
            return False
        if own.root in self.pins:
            self.pins[other.root] = self.pins.pop(own.root)
        self.above[own.root] = Spot(other.root, place)
        self.below.setdefault(other.root, []).extend(members)
        return True


def storage(model: FixedModel, uploads: Collection[str], skipped: Collection[int] = ()) -> Storage:
    """What shares memory with what. Nothing ever writes where another tensor's values are still read.
    `uploads` are tensors that the KPU reads; operators that are `skipped` (by index) are not executed."""
    sizes = {name: dense_bytes(tensor) for name, tensor in model.tensors.items()}
    sharing = _Sharing(sizes, _aligned(model, uploads))
    for number, name in enumerate(model.inputs):
        sharing.pins[name] = Pin("input", number)
    for name in model.tensors:
        if name in model.constants:
            sharing.pins[name] = Pin("rdata")
    copied = {}
    for number, name in enumerate(model.outputs):
        if name in sharing.pins:
            copied[number] = name
        else:
            sharing.pins[name] = Pin("output", number)
    free = set(skipped)
    inside: dict[int, frozenset[int]] = {}
    for index, operator in enumerate(model.operators):
        if index in skipped:
            continue
        bound = bind(model, operator)
        if operator.kind in JOINS:
            inside[index] = _parts(bound, sharing)
            done = len(inside[index]) == len(operator.inputs)
        else:
            offset = piece(bound)
            done = offset is not None and sharing.join(operator.outputs[0], operator.inputs[0], offset)
        if done:
            free.add(index)
    spots = {name: sharing.spot(name) for name in model.tensors}
    return Storage(spots, sizes, sharing.pins, frozenset(free), inside, copied)


def _aligned(model: FixedModel, uploads: Collection[str]) -> frozenset[str]:
    return frozenset(name for name in uploads if model.tensors[name].shape[3] % DMA_COLUMNS == 0)


def _parts(bound: Bound, sharing: _Sharing) -> frozenset[int]:
    """The positions of a concat's inputs that lie in its output from the start."""
    shape, axis = bound.output.shape, bound.number("axis") % len(bound.output.shape)
    if math.prod(shape[:axis]) != 1:
        return frozenset()
    found, offset = set(), 0
    for position, tensor in enumerate(bound.inputs):
        if sharing.join(tensor.name, bound.output.name, offset):
            found.add(position)
        offset += dense_bytes(tensor)
    return frozenset(found)


def piece(bound: Bound) -> int | None:
    """The byte of its input where the output of a move begins, if it lies there as it is; else None."""
    maker = _PIECES.get(bound.operator.kind)
    return maker(bound) if maker is not None else None


def _reshaped(bound: Bound) -> int | None:
    return 0


def _looked_up(bound: Bound) -> int | None:
    """Bytes that a table only calls by another scale stay as they are."""
    return 0 if np.array_equal(bound.constant("table"), np.arange(256)) else None


def _transposed(bound: Bound) -> int | None:
    """Axes of one cell may go anywhere."""
    shape = bound.inputs[0].shape
    moved = [axis for axis in bound.numbers("permutation") if shape[axis] != 1]
    return 0 if moved == sorted(moved) else None


def _same_size(bound: Bound) -> int | None:
    return 0 if dense_bytes(bound.inputs[0]) == dense_bytes(bound.output) else None


def _sliced(bound: Bound) -> int | None:
    """Contiguous where all axes before the one that is cut leave one cell."""
    offset, stride, cut = 0, dense_bytes(bound.inputs[0]), False
    lists = (bound.numbers(name) for name in ("starts", "ends", "steps"))
    for size, start, end, step in zip(bound.inputs[0].shape, *lists, strict=True):
        stride //= size
        count = len(range(start, end, step))
        if (cut and count != size) or (step != 1 and count > 1):
            return None
        cut = cut or count > 1
        offset += start * stride
    return offset


_PIECES = {
    "reshape": _reshaped,
    "lookup": _looked_up,
    "transpose": _transposed,
    "expand": _same_size,
    "pad": _same_size,
    "slice": _sliced,
}
