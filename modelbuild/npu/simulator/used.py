"""The stretches of DRAM that a program uses: memory is taken for these alone, however much it asks for."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence

from modelbuild.npu.program import Instruction, ProgramInterface
from modelbuild.npu.program.descriptor import DRAM
from modelbuild.npu.program.transfers import Load, Store


class Used:
    """Stretches, (address, bytes), side by side without what lies between them. Those that reach beyond `end`
    are left out: they are never read or written."""

    def __init__(self, stretches: Iterable[tuple[int, int]], end: int) -> None:
        self._starts, self._places = [0], [0]  # of what is used without a gap
        self.bytes = 0
        done = 0
        for address, size in sorted(set(stretches)):
            if address < 0 or address + size > end:
                continue
            if address > done:
                self._starts.append(address)
                self._places.append(self.bytes)
                done = address
            self.bytes += max(0, address + size - done)
            done = max(done, address + size)

    def place(self, address: int) -> int:
        """Where a byte lies, which must be in a stretch; those behind it in the stretch follow."""
        index = bisect_right(self._starts, address) - 1
        return self._places[index] + address - self._starts[index]


def used(
    interface: ProgramInterface, streams: Iterable[Sequence[Instruction]], keep_layers: bool
) -> Iterator[tuple[int, int]]:
    """Address and bytes of each tensor that is written or shown, and of each load and store from its first
    byte to its last."""
    layers = (tensor for layer in interface.layers for tensor in layer.outputs if keep_layers)
    for tensor in (*interface.inputs, *interface.outputs, *layers):
        if tensor.where == DRAM:
            yield tensor.address, tensor.size
    for it in (each for stream in streams for each in stream):
        if isinstance(it, Load | Store):
            yield it.dram, it.length + sum((loop.count - 1) * loop.dram_stride for loop in it.loops)
