"""Runs an operator that has tiles by itself: loads, computes and stores region after region."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from modelbuild.npu.emitting.emitter import Buffer, Emitter, Place
from modelbuild.npu.lowering.boxes import Box, largest_box
from modelbuild.npu.lowering.tiles import Held, Slab, Tiles, compute
from modelbuild.npu.planning.forms import Form
from modelbuild.npu.planning.memory import align
from modelbuild.npu.planning.plan import Region

ConstantSize = Callable[[Region], int]
LoadConstants = Callable[[Region, int], None]  # region, address


def lower_alone(
    tiles: Tiles, emitter: Emitter, constant_size: ConstantSize, load_constants: LoadConstants
) -> None:
    """From DRAM to DRAM through the workspace, in the largest regions that fit."""
    whole = tiles.output.planes // tiles.images
    extents = (whole, 1 if tiles.row_by_row else tiles.output.rows)

    def sizes(box: Box) -> list[int]:
        return _sizes(tiles, constant_size, box)

    box = largest_box(extents, lambda box: sum(align(size) for size in sizes(box)), emitter.capacity)
    *inputs, output, constants = [emitter.buffer(size) for size in sizes(box)]
    loaded: tuple[int, ...] | None = None
    for first, planes in tiles.chunks(box[0]):
        for image in range(tiles.images):
            for row in range(0, tiles.output.rows, box[1]):
                rows = min(box[1], tiles.output.rows - row)
                region = Region(tiles.name, image * whole + first, planes, row, rows)
                if tiles.constant_key(region) != loaded and constants.size:
                    load_constants(region, constants.start)
                    loaded = tiles.constant_key(region)
                _run(tiles, emitter, region, inputs, output, Held(constants.start, region))


def _sizes(tiles: Tiles, constant_size: ConstantSize, box: Box) -> list[int]:
    """Bytes of the inputs, the output and the constants of the largest regions of a box."""
    planes = max(count for _, count in tiles.chunks(box[0]))
    height = tiles.output.rows
    found = [0] * (len(tiles.inputs) + 2)
    for row in range(0, height, box[1]):
        region = Region(tiles.name, 0, planes, row, min(box[1], height - row))
        needs = zip(tiles.needs(region), tiles.inputs, strict=True)
        size = [need.planes * need.rows * own.row_bytes for need, own in needs]
        size += [region.planes * region.rows * tiles.output.row_bytes, constant_size(region)]
        found = [max(pair) for pair in zip(found, size, strict=True)]
    return found


def _run(
    tiles: Tiles, emitter: Emitter, region: Region, inputs: Sequence[Buffer], output: Buffer, held: Held
) -> None:
    needs = tiles.needs(region)
    operation = tiles.operation
    for need, buffer, place, own in zip(needs, inputs, operation.inputs, tiles.inputs, strict=True):
        if need.rows:
            offset, shape = _rows(own, need)
            emitter.load(place, offset, own.row_bytes, shape, buffer.start, None, emitter.rates.row_alignment)
    slabs = [Slab(buffer.start, max(1, need.rows), 0) for need, buffer in zip(needs, inputs, strict=True)]
    compute(tiles, emitter, region, needs, (slabs, Slab(output.start, region.rows, 0)), held)
    _store(emitter, operation.output, tiles.output, region, output)


def _store(emitter: Emitter, place: Place, own: Form, region: Region, output: Buffer) -> None:
    offset, shape = _rows(own, region)
    emitter.store(output.start, place, offset, own.row_bytes, shape, None, emitter.rates.row_alignment)


def _rows(own: Form, part: Region) -> tuple[int, list[tuple[int, int, int]]]:
    """Offset and dimensions of a region of a dense map; in SRAM it is dense too."""
    line = own.row_bytes
    shape = [(part.planes, own.plane_bytes, part.rows * line), (part.rows, line, line)]
    return part.plane * own.plane_bytes + part.row * line, shape
