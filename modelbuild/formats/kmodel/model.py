"""What a kmodel holds, whichever version it is of."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from modelbuild.formats.checks import Check, checked
from modelbuild.formats.kmodel.records import Values
from modelbuild.formats.parts import Part, covered


@dataclass(frozen=True)
class Span:
    """`size` bytes at `offset` of the file."""

    offset: int
    size: int

    @property
    def end(self) -> int:
        """The first byte after it."""
        return self.offset + self.size


@dataclass(frozen=True)
class Tensor:
    """An input or output. `shape` is None where the version does not store it, a dimension None where it is
    open; `memory` is the place it lies in, "" where the version has none; sizes in bytes."""

    dtype: str
    shape: tuple[int | None, ...] | None = None
    memory: str = ""
    address: int | None = None
    size: int | None = None
    type: str = ""  # versions 6 and 7: the type as text, a tuple for instance


@dataclass(frozen=True)
class Mempool:
    """Memory that a module needs, in bytes; `code` is the location's number."""

    code: int
    location: str
    size: int


@dataclass(frozen=True)
class Section:
    """A section of a module or function. The body lies in the file, maybe inside that of .rdata (`merged`);
    `memory` is its size when loaded (versions 6 and 7), `alignment` in memory is told since nncase 3.0."""

    name: str
    flags: int
    offset: int
    body: Span
    merged: bool = False
    memory: int | None = None
    alignment: int | None = None


@dataclass(frozen=True)
class Function:
    """A function. `entry` and `text` (bytes) are relative to the module's .text; pools in bytes."""

    offset: int
    size: int
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    entry: int = 0
    text: int = 0
    input_pool: int | None = None
    output_pool: int | None = None
    sections: tuple[Section, ...] = ()


@dataclass(frozen=True)
class Module:
    """One module of versions 5 to 7; `size` in bytes with its header."""

    kind: str
    version: int | None
    offset: int
    size: int
    mempools: tuple[Mempool, ...]
    functions: tuple[Function, ...]
    sections: tuple[Section, ...]
    shared_mempools: int = 0

    def section(self, name: str) -> Section | None:
        """The first section of this name."""
        return next((item for item in self.sections if item.name == name), None)


@dataclass(frozen=True)
class Convolution:
    """A layer of the K210's KPU: its twelve registers and where its tables lie in the file."""

    registers: tuple[int, ...]
    batch_norm: Span
    activation: Span
    weights: Span
    eight_bit: bool = True


@dataclass(frozen=True)
class Layer:
    """A layer or node of versions 3 and 4. `values` are its fields as stored, `shown` the same with names;
    `convolution` is there for layers of the KPU. `size` is that of the body, bytes."""

    name: str
    code: int
    offset: int
    size: int
    values: Values
    shown: Values
    convolution: Convolution | None = None


@dataclass(frozen=True)
class Unknown:
    """A field that nobody documents, or a reserved one that is not zero: where it is and its raw value."""

    what: str
    offset: int
    value: int


WITHIN_LIMITS = "layers within the limits of the KPU"
_PAGE = 4096  # bytes; a file may be smaller than what it is aligned to


def alignment_check(alignment: int, size: int) -> Check:
    """That the header's alignment of section bodies can be one in a file of so many bytes."""
    can_be = alignment > 0 and alignment & (alignment - 1) == 0 and alignment <= max(size, _PAGE)
    return checked("the alignment is a power of two within the file", can_be, f"it is {alignment}")


@dataclass(frozen=True)
class Kmodel:
    """The whole file. Versions 3 and 4 have layers, the later ones modules; `entry` is (module, function)."""

    version: int
    data: bytes = field(repr=False)
    layout: str = (
        ""  # of version 5: "release" | "development"; of 7: by which releases dimensions are written
    )
    flags: int = 0
    target: str = ""
    alignment: int | None = None
    inputs: tuple[Tensor, ...] = ()
    outputs: tuple[Tensor, ...] = ()
    main_memory: int | None = None
    constants: int | None = None
    layers: tuple[Layer, ...] = ()
    modules: tuple[Module, ...] = ()
    entry: tuple[int, int] | None = None
    found: tuple[Part, ...] = field(default=(), repr=False)
    unknown: tuple[Unknown, ...] = ()
    checks: tuple[Check, ...] = ()
    unread: int = 0  # bytes after the last module or layer

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """Every byte of the file: what it is, or that nobody knows it."""
        return covered(self.found, len(self.data))
