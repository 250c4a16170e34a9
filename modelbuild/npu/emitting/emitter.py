"""Collects the instructions, constants and predicted costs of one engine's program (the NPU, or the host)."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

from modelbuild.arithmetic.fixed_model import QuantizedTensor
from modelbuild.npu.emitting import work
from modelbuild.npu.emitting.constants import Constants, Part
from modelbuild.npu.emitting.timeline import ENGINES, Span, timeline
from modelbuild.npu.planning.does_not_fit import DoesNotFit
from modelbuild.npu.planning.memory import align
from modelbuild.npu.program import ElementType, Instruction, Rates
from modelbuild.npu.program.transfers import RAW, Fill, Layer, Load, LoadConstants, Loop, Output, Store

Dimension = tuple[int, int, int]  # count, stride in DRAM, stride in SRAM; outermost first, bytes


@dataclass(frozen=True)
class Place:
    """A whole tensor, dense: in DRAM, or among the constants, or (None) nowhere but on the chip."""

    tensor: QuantizedTensor
    address: int | None
    constant: bool = False

    @property
    def type(self) -> ElementType:
        """How one element lies in memory."""
        return ElementType((2 if self.tensor.dtype.itemsize == 2 else 0) + (1 if self.tensor.signed else 0))


@dataclass
class Cost:
    """What one operator's code costs. `cycles` are those by which the program is longer for it; `engines`
    those in which each engine works on it."""

    cycles: int = 0
    dram_read: int = 0
    dram_write: int = 0
    weight_bytes: int = 0
    sram_peak: int = 0
    tiles: int = 0
    start: int = -1
    end: int = 0
    overhead: int = 0
    engines: dict[str, int] | None = None

    def busy(self, engine: str) -> int:
        """Cycles in which an engine works on it."""
        return self.engines[engine] if self.engines else 0


@dataclass(frozen=True)
class Buffer:
    """A stretch of SRAM."""

    start: int
    size: int

    def first(self, count: int) -> Span:
        """Its first bytes."""
        return Span(self.start, count)


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
    """The program of one engine as it grows: groups of operators, whose costs are kept operator by operator.

    Operators with a loop of their own take buffers from a workspace in SRAM."""

    def __init__(self, rates: Rates, constants: Constants) -> None:
        self.rates = rates
        self.constants = constants
        self.instructions: list[Instruction] = []
        self.sram_peak = 0
        self.costs: dict[int, Cost] = {}
        self._timeline = timeline(rates)
        self._cost = Cost()
        self._setup: Instruction | None = None
        self._base = self._cursor = self._end = 0

    @property
    def now(self) -> int:
        """Cycles of all that was emitted."""
        return self._timeline.now

    @property
    def interlocked(self) -> bool:
        """Whether engines run at once, so that it matters which bytes of SRAM an instruction touches."""
        return self.rates.engines > 1

    @property
    def capacity(self) -> int:
        """Bytes of the workspace."""
        return self._end - self._base

    def begin_group(self, index: int) -> None:
        """The marker of a group whose first operator is `index`, which pays for the barrier."""
        before = self._timeline.now
        self._timeline.begin_group()
        self.charge(index)
        self._cost.overhead = self._timeline.now - before
        self._cost.cycles += self._cost.overhead
        self._setup = None
        self.instructions.append(Layer(index))

    def charge(self, operator: int) -> None:
        """What follows is done for this operator."""
        self._cost = self.costs.get(operator) or self.costs.setdefault(operator, Cost(engines=_idle()))

    def workspace(self, address: int, size: int) -> None:
        """The stretch of SRAM that buffers are taken from."""
        self._base = self._cursor = address
        self._end = address + size

    def buffer(self, size: int) -> Buffer:
        """A fresh stretch of the workspace. More than there is raises DoesNotFit."""
        found = Buffer(self._cursor, size)
        self._cursor += align(size)
        if self._cursor > self._end:
            raise DoesNotFit(self._cursor - self._base)
        self.uses(self._cursor)
        return found

    def uses(self, end: int) -> None:
        """SRAM is used up to `end`."""
        if end > self._cost.sram_peak:
            self._cost.sram_peak = end
            self.sram_peak = max(self.sram_peak, end)

    def ring(self, count: int, size: int) -> Ring:
        """`count` buffers of `size` bytes each."""
        return Ring([self.buffer(size) for _ in range(count)])

    def setup(self, instruction: Instruction) -> None:
        """What the following tiles share, unless it is in force already; costs nothing."""
        if instruction is not self._setup and instruction != self._setup:
            self.instructions.append(instruction)
            self._setup = instruction

    def output(self, layer: int, plane: int, row: int) -> None:
        """Where the next tile's output belongs in a map that never reaches DRAM; costs nothing."""
        self.instructions.append(Output(layer, plane, row))

    def load(
        self,
        place: Place,
        offset: int,
        element: int,
        dimensions: Iterable[Dimension],
        address: int,
        covers: Span | None = None,
        alignment: int = 1,
    ) -> None:
        """A rectangle of `place`, `offset` bytes in, to SRAM; `covers` what lies there in several runs."""
        assert place.address is not None, place.tensor.name
        length, loops, total = rectangle(element, dimensions, 1 if place.constant else alignment)
        dram, cost, to = place.address + offset, self._cost, covers or Span(address, total)
        if place.constant:
            self.instructions.append(LoadConstants(dram, address, length, loops, codec=RAW, stored=length))
            cost.weight_bytes += total
            self._run("weights", work.constants_cycles(total, self.rates), (), (to,))
            return
        self.instructions.append(Load(dram, address, length, loops))
        cost.dram_read += total
        self._run("read", work.load_cycles(((total // length, length),), self.rates), (), (to,))

    def load_constants(self, part: Part, address: int) -> None:
        """A part of the constants to SRAM."""
        self.instructions.append(
            LoadConstants(part.address, address, part.length, (), codec=part.codec, stored=part.stored)
        )
        self._cost.weight_bytes += part.stored
        cycles = work.constants_cycles(part.stored, self.rates)
        self._run("weights", cycles, (), (Span(address, part.length),))

    def load_record(self, name: str, data: bytes, to: Buffer) -> None:
        """A few constants of the operator `name` to the start of a buffer."""
        self.load_constants(self.constants.part((name, data), len(data), lambda: data, False), to.start)

    def store(
        self,
        address: int,
        place: Place,
        offset: int,
        element: int,
        dimensions: Iterable[Dimension],
        covers: Span | None = None,
        alignment: int = 1,
    ) -> None:
        """What lies in SRAM to a rectangle of `place`, `offset` bytes in; `covers` as in `load`."""
        assert place.address is not None, place.tensor.name
        length, loops, total = rectangle(element, dimensions, alignment)
        self.instructions.append(Store(place.address + offset, address, length, loops))
        self._cost.dram_write += total
        cycles = work.store_cycles(((total // length, length),), self.rates)
        self._run("write", cycles, (covers or Span(address, total),), ())

    def fill(self, to: Buffer, kind: ElementType, value: int, count: int) -> None:
        """`count` elements of one value to the start of a buffer."""
        self.instructions.append(Fill(kind, value, to.start, count))
        written = (Span(to.start, count * kind.size),)
        self._run("compute", work.element_cycles(count, self.rates), (), written)

    def compute(self, tile: Instruction, cycles: int, reads: Iterable[Span], writes: Iterable[Span]) -> None:
        """One tile under the setup in force."""
        self.instructions.append(tile)
        self._cost.tiles += 1
        self._run("compute", cycles, reads, writes)

    def _run(self, engine: str, cycles: int, reads: Iterable[Span], writes: Iterable[Span]) -> None:
        time, cost = self._timeline, self._cost
        before = time.now
        start = time.run(engine, cycles, reads, writes)
        cost.cycles += time.now - before
        cost.start = start if cost.start < 0 else min(cost.start, start)
        cost.end = max(cost.end, start + cycles)
        assert cost.engines is not None
        cost.engines[engine] += cycles


def _idle() -> dict[str, int]:
    return dict.fromkeys(ENGINES, 0)


def rectangle(
    element: int, dimensions: Iterable[Dimension], alignment: int = 1
) -> tuple[int, tuple[Loop, ...], int]:
    """The contiguous length, the loops around it, and the bytes moved in all; axes merged where possible.

    `element` contiguous bytes become longer runs only where they are a multiple of `alignment`.
    """
    length, total = element, element
    loops: list[Loop] = []
    for count, dram, sram in reversed(list(dimensions)):
        total *= count
        if count == 1:
            continue
        if not loops and dram == sram == length and length % alignment == 0:
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
