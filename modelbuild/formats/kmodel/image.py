"""A kmodel of version 5, release layout, as it is written: what a file says, without places in it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from modelbuild.errors import ModelbuildError, did_you_mean
from modelbuild.formats.kmodel.model import Mempool, Span, Tensor
from modelbuild.formats.kmodel.records import number
from modelbuild.formats.kmodel.types import LOCATIONS

ALIGNMENTS = {"stackvm": 8, "k210": 256}  # of the bodies of sections, by the kind of module
TEXT, RDATA = ".text", ".rdata"
POOL_ALIGNMENT = 8


@dataclass(frozen=True)
class Function:
    """A function: its code is `text` bytes at `entry` of its module's .text. Tensors have memory, address (in
    the pool) and size; pools in bytes."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    entry: int
    text: int
    input_pool: int
    output_pool: int


@dataclass(frozen=True)
class Section:
    """A section with its body, or one that is `merged`: the body is that part of .rdata's."""

    name: str
    body: bytes = field(default=b"", repr=False)
    merged: Span | None = None


@dataclass(frozen=True)
class Module:
    """A module. `alignment` is that of section bodies in the file; `shared_mempools` are counted only."""

    kind: str
    mempools: tuple[Mempool, ...]
    functions: tuple[Function, ...]
    sections: tuple[Section, ...]
    alignment: int
    version: int = 1
    shared_mempools: int = 0


@dataclass(frozen=True)
class Image:
    """The whole file; `entry` is (module, function)."""

    modules: tuple[Module, ...]
    entry: tuple[int, int] = (0, 0)
    flags: int = 0


@dataclass(frozen=True)
class Code:
    """A function before it is linked: tensors, and its own code."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    code: bytes = field(repr=False)


def linked(
    kind: str, functions: Sequence[Code], rdata: bytes = b"", pools: Iterable[tuple[str, int]] = ()
) -> Module:
    """A module of one of the kinds in ALIGNMENTS as nncase makes it: .rdata and .text, the code of the
    functions one after the other. `pools` are names of `types.LOCATIONS` with their bytes; that of rdata has
    its size and that of data none unless given."""
    if kind not in ALIGNMENTS:
        raise ModelbuildError(
            f"there is no kind of module {kind!r} to link", advice=did_you_mean(kind, ALIGNMENTS)
        )
    text = b"".join(function.code for function in functions)
    entries = accumulate((len(function.code) for function in functions[:-1]), initial=0)
    found = tuple(
        Function(
            item.inputs, item.outputs, entry, len(item.code), pool_size(item.inputs), pool_size(item.outputs)
        )
        for item, entry in zip(functions, entries, strict=False)
    )
    sizes = {"rdata": len(rdata), "data": 0, **dict(pools)}
    mempools = tuple(Mempool(number(LOCATIONS, name, "pool"), name, size) for name, size in sizes.items())
    sections = (Section(RDATA, rdata), Section(TEXT, text))
    return Module(kind, mempools, found, sections, ALIGNMENTS[kind])


def pool_size(tensors: Iterable[Tensor]) -> int:
    """Bytes of the pool that these inputs or outputs lie in."""
    ends = ((tensor.address or 0) + (tensor.size or 0) for tensor in tensors)
    return -(-max(ends, default=0) // POOL_ALIGNMENT) * POOL_ALIGNMENT
