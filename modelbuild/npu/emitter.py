"""Collects the instructions, constants and predicted costs of one engine's program, layer by layer."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

from modelbuild.arithmetic.fixed_model import QuantizedTensor
from modelbuild.npu.memory import align
from modelbuild.npu.program import ElementType, Instruction, Rates
from modelbuild.npu.program.transfers import Fill, Layer, Load, Loop, Store, raw_constants
from modelbuild.npu.tiling import DoesNotFit
from modelbuild.npu.timeline import Buffer, Timeline, cycles_of

Dimension = tuple[int, int, int]  # count, stride in DRAM, stride in SRAM; outermost first, bytes


@dataclass(frozen=True)
class Place:
    """A whole tensor, dense: in DRAM, or among the constants."""

    tensor: QuantizedTensor
    address: int
    constant: bool = False

    @property
    def type(self) -> ElementType:
        """How one element lies in memory."""
        return ElementType((2 if self.tensor.dtype.itemsize == 2 else 0) + (1 if self.tensor.signed else 0))


@dataclass(frozen=True)
class LayerCost:
    """What a layer's code costs: cycles, bytes moved, bytes of SRAM, steps of computation."""

    cycles: int
    dram_read: int
    dram_write: int
    weight_bytes: int
    sram_peak: int
    tiles: int


class Ring:
    """One or two buffers that take turns, each remembering what it holds."""

    def __init__(self, buffers: Sequence[Buffer]) -> None:
        self._buffers = buffers
        self._keys: list[Hashable] = [None] * len(buffers)
        self._next = 0

    def fetch(self, key: Hashable) -> tuple[Buffer, bool]:
        """A buffer for `key`, and whether it still has to be filled."""
        if key in self._keys:
            return self._buffers[self._keys.index(key)], False
        index = self._next
        self._next = (index + 1) % len(self._buffers)
        self._keys[index] = key
        return self._buffers[index], True

    def take(self) -> Buffer:
        """The next buffer, whatever it holds."""
        index = self._next
        self._next = (index + 1) % len(self._buffers)
        return self._buffers[index]


class Emitter:
    """The program of one engine (the NPU, or the host) as it grows."""

    def __init__(self, capacity: int, rates: Rates) -> None:
        self.capacity = capacity
        self.rates = rates
        self.instructions: list[Instruction] = []
        self.constants = bytearray()
        self.sram_peak = 0
        self._timeline = Timeline(rates)
        self._costs = [0, 0, 0, 0]  # read, written, weight bytes, tiles
        self._cursor = 0
        self._started = 0

    def begin_layer(self, index: int) -> None:
        """The marker of layer `index`; all of SRAM is free again."""
        self._started = self._timeline.now
        self._timeline.begin_layer()
        self._costs = [0, 0, 0, 0]
        self._cursor = 0
        self.instructions.append(Layer(index))

    def end_layer(self) -> LayerCost:
        """What the layer costs."""
        read, written, weight, tiles = self._costs
        return LayerCost(self._timeline.now - self._started, read, written, weight, self._cursor, tiles)

    def buffer(self, size: int) -> Buffer:
        """A fresh stretch of SRAM. More than there is raises DoesNotFit."""
        found = Buffer(self._cursor, size)
        self._cursor += align(size)
        if self._cursor > self.capacity:
            raise DoesNotFit(self._cursor)
        self.sram_peak = max(self.sram_peak, self._cursor)
        return found

    def ring(self, count: int, size: int) -> Ring:
        """`count` buffers of `size` bytes each."""
        return Ring([self.buffer(size) for _ in range(count)])

    def add_constants(self, data: bytes) -> int:
        """The address of `data` among the constants."""
        address = len(self.constants)
        self.constants += data
        return address

    def setup(self, instruction: Instruction) -> None:
        """What the following tiles share; costs nothing."""
        self.instructions.append(instruction)

    def load(
        self,
        place: Place,
        offset: int,
        element: int,
        dimensions: Iterable[Dimension],
        to: Buffer,
    ) -> None:
        """A rectangle of `place`, `offset` bytes in, to the start of a buffer."""
        length, loops, total = rectangle(element, dimensions)
        if place.constant:
            self._load_constants(place.address + offset, length, loops, total, to)
            return
        self.instructions.append(Load(place.address + offset, to.start, length, loops))
        self._timeline.transfer("read", total, (), (to,))
        self._costs[0] += total

    def load_constants(self, address: int, size: int, to: Buffer) -> None:
        """`size` bytes of constants to the start of a buffer."""
        self._load_constants(address, size, (), size, to)

    def _load_constants(
        self, address: int, length: int, loops: tuple[Loop, ...], total: int, to: Buffer
    ) -> None:
        self.instructions.append(raw_constants(address, to.start, length, loops))
        self._timeline.transfer("weights", total, (), (to,))
        self._costs[2] += total

    def store(
        self, source: Buffer, place: Place, offset: int, element: int, dimensions: Iterable[Dimension]
    ) -> None:
        """A buffer to a rectangle of `place`, `offset` bytes in."""
        length, loops, total = rectangle(element, dimensions)
        self.instructions.append(Store(place.address + offset, source.start, length, loops))
        self._timeline.transfer("write", total, (source,), ())
        self._costs[1] += total

    def fill(self, to: Buffer, kind: ElementType, value: int, count: int) -> None:
        """`count` elements of one value to the start of a buffer."""
        self.instructions.append(Fill(kind, value, to.start, count))
        self._timeline.compute(cycles_of(count, self.rates.elements), (), (to,))

    def compute(
        self, tile: Instruction, reads: Iterable[Buffer], output: Buffer, elements: int, cycles: int = 0
    ) -> None:
        """One tile of so many elements, unless its cycles are given."""
        self.instructions.append(tile)
        taken = cycles or cycles_of(elements, self.rates.elements)
        self._timeline.compute(taken, reads, (output,))
        self._costs[3] += 1


def rectangle(element: int, dimensions: Iterable[Dimension]) -> tuple[int, tuple[Loop, ...], int]:
    """The contiguous length, the loops around it, and the bytes moved in all; axes merged where possible."""
    length, total = element, element
    loops: list[Loop] = []
    for count, dram, sram in reversed(list(dimensions)):
        total *= count
        if count == 1:
            continue
        if not loops and dram == sram == length:
            length *= count
        elif loops and (dram, sram) == (
            loops[-1].count * loops[-1].dram_stride,
            loops[-1].count * loops[-1].sram_stride,
        ):
            loops[-1] = Loop(loops[-1].count * count, loops[-1].dram_stride, loops[-1].sram_stride)
        else:
            loops.append(Loop(count, dram, sram))
    return length, tuple(reversed(loops)), total


def dense_strides(extents: Sequence[int], element: int) -> tuple[int, ...]:
    """Row-major strides in bytes."""
    strides: list[int] = []
    stride = element
    for extent in reversed(extents):
        strides.append(stride)
        stride *= extent
    return tuple(reversed(strides))
