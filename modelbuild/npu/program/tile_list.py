"""What the array computes step by step: the tiles of a program, a line each, under their layers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from modelbuild.npu.program import tiles
from modelbuild.npu.program.command import decode
from modelbuild.npu.program.descriptor import LayerPlace
from modelbuild.npu.program.disassembler import instruction_text
from modelbuild.npu.program.encoding import Instruction
from modelbuild.npu.program.host import decode_host
from modelbuild.npu.program.transfers import Layer, Load, LoadConstants, Store, Transfer

_TILES = tuple(
    kind for kind in vars(tiles).values() if isinstance(kind, type) and kind.__module__ == tiles.__name__
)
_MOVES: tuple[tuple[type[Transfer], str], ...] = (
    (Load, "{} bytes read"),
    (LoadConstants, "{} bytes of constants"),
    (Store, "{} bytes written"),
)


@dataclass
class _Entry:
    """The tiles of one layer, and the bytes that each kind of transfer moves for it."""

    tiles: list[Instruction] = field(default_factory=list)
    moved: dict[type, int] = field(default_factory=dict)


def tile_list(command: bytes, host: bytes = b"") -> list[str]:
    """Layers in the order in which they run, each with its unit, its bytes moved and its tiles."""
    program = decode(command)
    lines: list[str] = []
    streams: list[tuple[str, Sequence[Instruction]]] = [("", program.instructions)]
    streams += [(f"segment {index}, ", segment) for index, segment in enumerate(decode_host(host).segments)]
    for prefix, instructions in streams:
        for index, entry in _layers(instructions).items():
            lines += _lines(f"{prefix}layer {index}", program.interface.layers[index], entry)
    return lines


def _layers(instructions: Iterable[Instruction]) -> dict[int, _Entry]:
    found: dict[int, _Entry] = {}
    entry = _Entry()
    for instruction in instructions:
        if isinstance(instruction, Layer):
            entry = found.setdefault(instruction.index, _Entry())
        elif isinstance(instruction, _TILES):
            entry.tiles.append(instruction)
        elif isinstance(instruction, Transfer):
            size = instruction.length * math.prod(loop.count for loop in instruction.loops)
            entry.moved[type(instruction)] = entry.moved.get(type(instruction), 0) + size
    return found


def _lines(head: str, layer: LayerPlace, entry: _Entry) -> list[str]:
    count = f"{len(entry.tiles)} tile{'' if len(entry.tiles) == 1 else 's'}"
    moves = [text.format(entry.moved[kind]) for kind, text in _MOVES if kind in entry.moved]
    lines = [f"{head}  ; {layer.name} ({layer.kind}) on the {layer.unit}: {', '.join([count, *moves])}"]
    lines += [f"  tile {index}: {instruction_text(tile)}" for index, tile in enumerate(entry.tiles)]
    return lines
