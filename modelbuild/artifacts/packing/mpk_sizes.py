"""Whether an MPK tells the sizes that the tensors of the program in it have."""

from __future__ import annotations

import math
from collections.abc import Iterator

from modelbuild.formats.mpk import Mpk
from modelbuild.npu.program import ProgramInterface, TensorPlace

_REAL = 4  # bytes of a float32, which the archive's own borders are


def other_sizes(read: Mpk, described: ProgramInterface) -> list[str]:
    """What the nodes and the ELF of an archive of ours say, where the program says otherwise: a line each."""
    steps = {plugin.processor: plugin for plugin in read.plugins}
    elf = {section.name: section.size for section in read.sections}
    mla = {node.name: node.size for node in steps["MLA"].outputs} if "MLA" in steps else {}
    borders = {node.name: node.size for node in (*read.input_nodes, *read.output_nodes)}
    told = [
        *(_of_input(place, borders, elf) for place in described.inputs),
        *(_of_output(place, borders, elf, mla) for place in described.outputs),
    ]
    return [line for lines in told for line in lines]


def _of_input(place: TensorPlace, borders: dict[str, int], elf: dict[str, int]) -> Iterator[str]:
    yield from _compared(f"input {place.name}", borders.get(place.name), _REAL * math.prod(place.shape))
    section = f"ifm.persistent.{place.name}.b0"
    yield from _compared(f"section {section}", elf.get(section), _bytes(place))


def _of_output(
    place: TensorPlace, borders: dict[str, int], elf: dict[str, int], mla: dict[str, int]
) -> Iterator[str]:
    yield from _compared(f"output {place.name}", borders.get(place.name), _REAL * math.prod(place.shape))
    node = f"MLA_0/{place.name}"
    yield from _compared(f"node {node}", mla.get(node), _bytes(place))
    section = f"ofm.persistent.{place.name}_output.b0"
    yield from _compared(f"section {section}", elf.get(section), _bytes(place))


def _bytes(place: TensorPlace) -> int:
    return math.prod(place.shape) * (1 if place.bits <= 8 else 2)


def _compared(what: str, told: int | None, has: int) -> Iterator[str]:
    if told is None:
        yield f"{what} is missing"
    elif told != has:
        yield f"{what} has {told:,} bytes, the program's {has:,}"
