"""A function of the stack machine that runs: where it is, and its stack."""

from __future__ import annotations

from dataclasses import dataclass, field

from modelbuild.kpu.simulator import scalars
from modelbuild.kpu.simulator.call import Padding
from modelbuild.kpu.simulator.limits import MAX_STACK, refused
from modelbuild.kpu.simulator.run import Frame
from modelbuild.kpu.simulator.scalars import Value


@dataclass
class State:
    """A function that runs: its stack, and where it is."""

    frame: Frame
    place: int
    stack: list[Value] = field(default_factory=list)

    def pop(self) -> Value:
        """The value on top."""
        if not self.stack:
            raise refused("it takes a value from the empty stack")
        return self.stack.pop()

    def push(self, value: Value) -> None:
        """A new value on top."""
        if len(self.stack) >= MAX_STACK:
            raise refused(f"it puts more than {MAX_STACK} values on the stack")
        self.stack.append(value)

    def padding(self) -> Padding:
        """Three numbers: before, after, interior."""
        after = [scalars.signed(scalars.low_bits(self.pop(), 32), 32) for _ in range(3)]
        return after[2], after[1], after[0]
