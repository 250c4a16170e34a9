"""What a run leaves behind: its outputs, and what each operation read and wrote, in order of execution."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

KPU = ("kpu_upload", "kpu_download", "kpu_conv2d", "copy")


@dataclass(frozen=True)
class Access:
    """A tensor that an operation read or wrote: `offset` in bytes of the memory, strides in elements.
    `values` is there where the run was asked to keep it; tensors in the KPU's RAM are shown unpacked."""

    what: str
    memory: str
    offset: int
    dtype: str
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    values: np.ndarray | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True)
class Event:
    """One operation of the KPU's module or one tensor function; `offset` is that of its code in the file.
    `fields` are its numbers by name: of a layer registers and `macs`, of a tensor function its operands.
    Not `exact`: the vendor's simulator may differ in the last bits of float32, see docs/arithmetic.md."""

    name: str
    module: int
    function: int
    offset: int
    kind: str  # "k210" | "stackvm"
    fields: Mapping[str, object]
    reads: tuple[Access, ...]
    writes: tuple[Access, ...]
    exact: bool = True


@dataclass(frozen=True)
class Simulation:
    """One run. `work` are the multiply-accumulates and elements that it took, by the simulator's count."""

    outputs: tuple[np.ndarray, ...]
    events: tuple[Event, ...]
    work: int

    def of(self, *names: str) -> tuple[Event, ...]:
        """The events of these names."""
        return tuple(event for event in self.events if event.name in names)


@dataclass
class Recorder:
    """Collects the accesses of the operation that runs, and keeps values for the names in `keep`."""

    keep: frozenset[str]
    events: list[Event] = field(default_factory=list)
    reads: list[Access] = field(default_factory=list)
    writes: list[Access] = field(default_factory=list)
    exact: bool = True

    def begin(self) -> None:
        """A new operation."""
        self.reads, self.writes, self.exact = [], [], True

    def end(self, name: str, place: tuple[int, int, int], kind: str, fields: Mapping[str, object]) -> None:
        """The operation is done; `place` is module, function and offset in the file."""
        self.events.append(
            Event(name, *place, kind, fields, tuple(self.reads), tuple(self.writes), self.exact)
        )
