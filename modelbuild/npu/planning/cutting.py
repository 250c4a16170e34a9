"""The default tiling of a group: bands of rows and parts of planes of a tile's bytes (docs/tiling.md)."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

from modelbuild.npu.planning.forms import Form, form
from modelbuild.npu.planning.halo import WEIGHTED
from modelbuild.npu.planning.memory import ALIGNMENT, up
from modelbuild.npu.planning.plan import Region
from modelbuild.npu.planning.streams import Span, Streams, Tiling, buffers, constant_sizes
from modelbuild.npu.planning.weights import constant_size

NOTHING = -1
# Of a group's own traffic: what may be read again before its tile grows. So a default plan moves at most 1.6
# times the least of its groups; on the vendor's table 0.4 to 1.0 do about as well (docs/chips.md).
AGAIN = 0.6
PART_MULTIPLE = 16  # output channels of a part
_MANY = 64


@dataclass(frozen=True)
class Limits:
    """What a plan must keep to. Sizes in bytes; `granule`: what engines that work at once lock together.

    `keeps_for_groups`: how many groups on a map stays on the chip at the most; 0: as long as it is needed;
    NOTHING: none does. `over_batch`: whether maps of several pictures may stay while weights pass in parts.
    """

    sram_bytes: int
    tile_bytes: int = 1 << 16
    engines: int = 1
    keeps_for_groups: int = 1
    row_alignment: int = 1
    granule: int = ALIGNMENT
    over_batch: bool = False

    @property
    def alignment(self) -> int:
        """What addresses in SRAM are multiples of: granules, where there are many."""
        shared = self.engines > 1 and self.sram_bytes >= _MANY * self.granule
        return max(ALIGNMENT, self.granule) if shared else ALIGNMENT

    def align(self, size: int) -> int:
        """A buffer's size with what it takes to begin the next one."""
        return up(size, self.alignment)


@dataclass(frozen=True)
class Traffic:
    """Bytes that a group moves if nothing is moved twice, by what they are to its tiling."""

    common: int  # of maps that every part of the output planes needs whole
    split: int  # of the largest other map
    weights: int
    total: int


def moved(found: Form, row_alignment: int) -> int:
    """Bytes that the DMA is busy with for a whole map: rows that are no multiple are moved one by one."""
    if found.row_bytes % row_alignment == 0:
        return found.size
    rows = found.planes * found.rows
    return rows * -(-found.row_bytes // row_alignment) * row_alignment


def traffic(streams: Streams, resident: Collection[str], limits: Limits) -> Traffic:
    """What the group must move."""
    model = streams.model
    unit = (
        ((0, 1), (streams.planes - 1, 1))
        if streams.planes > 1 and streams.is_divisible
        else ((0, streams.planes),)
    )
    common = split = total = 0
    for name in dict.fromkeys((*streams.source_rows, *streams.bundle.writes)):
        if name in resident or name in model.constants:
            continue
        size = moved(form(model.tensors[name]), limits.row_alignment)
        total += size
        if name not in streams.made and len(unit) > 1 and streams.is_common(name, unit):
            common += size
        else:
            split = max(split, size)
    weights = weight_bytes(streams)
    return Traffic(common, split, weights, total + weights)


def weight_bytes(streams: Streams) -> int:
    """Bytes of the constants of the group's convolutions."""
    model = streams.model
    total = 0
    for stage in streams.stages:
        if model.operators[stage.operator].kind in WEIGHTED:
            channels = model.tensors[stage.output].shape[1]
            region = Region(stage.output, 0, channels, 0, stage.rows)
            total += constant_size(model, model.operators[stage.operator], region)
    return total


def least_weights(groups: Sequence[Streams | None], limits: Limits) -> list[int]:
    """Bytes that each group is sure to take for its weights: all of them, or a tile."""
    return [min(weight_bytes(group), limits.tile_bytes) if group else 0 for group in groups]


def tile_bytes(found: Traffic, limits: Limits) -> int:
    """The tile at which little enough is read again."""
    tile, largest = min(limits.tile_bytes, max(1, limits.sram_bytes // 3)), max(1, limits.sram_bytes // 3)
    while tile < largest:
        bands, parts = -(-found.common // tile), -(-found.weights // tile)
        again = 0 if min(bands, parts) <= 1 else min(found.weights * (bands - 1), found.common * (parts - 1))
        if again <= AGAIN * found.total:
            break
        tile = min(max(tile + 1, tile * 5 // 4), largest)
    return tile


@dataclass(frozen=True)
class _Cut:
    """For tiles of so many bytes: the `parts`, and by order what it reads `again` and its bands."""

    parts: tuple[Span, ...]
    orders: tuple[tuple[int, str, int], ...]


def _rows(streams: Streams) -> int:
    return max((*streams.source_rows.values(), *(stage.rows for stage in streams.stages)))


def _bands(streams: Streams, tile: int, size: int) -> int:
    """Bands of which each has a tile of a map of `size` bytes."""
    return max(1, min(_rows(streams), -(-size // (tile * streams.bundle.blocks))))


def _parts(streams: Streams, found: Traffic, tile: int) -> tuple[Span, ...]:
    """Parts whose weights fit a tile, and one row of the largest map, too."""
    too_wide = -(-found.split // (tile * streams.bundle.blocks * _rows(streams)))
    return parts_of(streams, max(-(-found.weights // tile), too_wide))


def _cut(streams: Streams, found: Traffic, tile: int) -> _Cut:
    blocks, parts = streams.bundle.blocks, _parts(streams, found, tile)
    count = len(parts)
    split = -(-found.split // count)
    many = _bands(streams, tile, max(found.common, split))
    orders = [(found.common * (count - 1), "parts", many)]
    if count > 1:
        orders.append((found.weights * (blocks * many - 1), "bands", many))
        if found.common <= tile * blocks:
            orders.insert(0, (found.weights * (blocks - 1), "held", _bands(streams, tile, split)))
    return _Cut(parts, tuple(orders))


def tilings(streams: Streams, found: Traffic, tile: int, limits: Limits) -> Iterator[Tiling]:
    """Tilings for tiles of so many bytes, best first; those behind need less SRAM and move as much."""
    cut = _cut(streams, found, tile)
    _, order, first = min(cut.orders, key=lambda item: item[0])
    yield from _finer(streams, Tiling(order, first, cut.parts), limits)


def over_batch(streams: Streams, found: Traffic, tile: int, limits: Limits) -> Iterator[Tiling]:
    """Tilings of several pictures that read less again than those for tiles of so many bytes: the maps that
    all parts of the weights read stay in SRAM, of all pictures, else of one after the other."""
    blocks = streams.bundle.blocks
    again = min(again for again, _, _ in _cut(streams, found, tile).orders)
    if blocks == 1 or not found.weights or streams.joins or not limits.over_batch:
        return
    choices = ((0, "batch", found.common), (found.weights * (blocks - 1), "held", found.common // blocks))
    for less, order, staying in choices:
        for size in (tile, tile // 2, tile // 4, tile // 8):
            parts = _parts(streams, found, max(1, size))
            fits = staying + found.weights // len(parts) <= limits.sram_bytes
            if less < again and fits and len(parts) > 1:
                bands = _bands(streams, max(1, size), -(-found.split // len(parts)))
                yield from _finer(streams, Tiling(order, bands, parts, over_batch=True), limits)


def _finer(streams: Streams, tiling: Tiling, limits: Limits) -> Iterator[Tiling]:
    """With ever more bands, where these move nothing more."""
    rows, first = _rows(streams), tiling.bands
    for factor in (1, 2, 4, 8) if tiling.order != "bands" else (1,):
        if factor == 1 or first * factor // 2 < rows:
            yield from _variants(replace(tiling, bands=min(rows, first * factor)), limits)


def least_moved(streams: Streams, found: Traffic, room: int, limits: Limits) -> list[Tiling]:
    """Tilings that may fit into so many bytes: those that move least first, of these the ones with the
    fewest steps."""
    blocks = streams.bundle.blocks
    rows = max((*streams.source_rows.values(), *(stage.rows for stage in streams.stages)))
    bands = _counts(rows)
    choices: dict[int, tuple[Span, ...]] = {}
    for wanted in _counts(streams.planes):
        parts = parts_of(streams, wanted)
        choices.setdefault(len(parts), parts)
    best: list[tuple[int, int, Tiling]] = []
    for count, parts in choices.items():
        for many in bands:
            split = found.split // (blocks * count * many)
            weights, band = found.weights // count, found.common // (blocks * many)
            held = found.common // blocks
            again = {"parts": (found.common * (count - 1), band)}
            if count > 1:
                again["held"] = (found.weights * (blocks - 1), held)
                again["bands"] = (found.weights * (blocks * many - 1), band)
            for order, (moved_again, common) in again.items():
                if weights + common + split <= room:
                    best.append((moved_again, count * many, Tiling(order, many, parts)))
    best.sort(key=lambda item: (item[0], item[1], item[2].order))
    return [variant for _, _, tiling in best for variant in _variants(tiling, limits)]


def _variants(tiling: Tiling, limits: Limits) -> Iterator[Tiling]:
    """With room for transfers to run ahead, where engines work at once, then without."""
    if limits.engines > 1 and tiling.bands > 1:
        yield replace(tiling, weight_buffers=min(2, len(tiling.parts)), ahead=True)
    if limits.engines > 1 and len(tiling.parts) > 1:
        yield replace(tiling, weight_buffers=2)
    yield tiling


def _counts(extent: int) -> list[int]:
    """Into how many parts to cut: all small numbers, then ever fewer, up to single ones."""
    found = []
    count = 1
    while count < extent:
        found.append(count)
        count += max(1, count // 4)
    return [*found, extent]


def whole_weights(streams: Streams, resident: Collection[str], room: int, limits: Limits) -> Iterator[Tiling]:
    """Tilings of several convolutions in one group, all of whose weights lie in SRAM: ever more bands, from
    the fewest on that fit into so many bytes."""
    rows = max((*streams.source_rows.values(), *(stage.rows for stage in streams.stages)))
    counts = [1]
    while counts[-1] < rows:
        counts.append(min(rows, counts[-1] + max(1, counts[-1] // 2)))
    tilings = [Tiling("parts", bands, ((0, streams.planes),)) for bands in counts]
    # More bands need less, but for a few rows; so what is before the first that fits is hardly worth a look.
    first = bisect_left(tilings, True, key=lambda tiling: needed(streams, tiling, resident, limits) <= room)
    for tiling in tilings[min(first, len(tilings) - 1) :]:
        yield from _variants(tiling, limits)


def parts_of(streams: Streams, count: int) -> tuple[Span, ...]:
    """The output planes of a block in about `count` parts."""
    planes = streams.planes
    if count <= 1 or not streams.is_divisible:
        return ((0, planes),)
    groups, each = streams.unit
    size = max(1, -(-planes // count))
    if groups > 1:
        size = size // each * each if size >= each else size
        starts = range(0, planes, each if size < each else planes)
        step = each if size < each else planes
    else:
        rounded = -(-size // PART_MULTIPLE) * PART_MULTIPLE
        size = rounded if size > PART_MULTIPLE else size
        starts, step = range(0, planes, planes), planes
    return tuple(
        (first, min(size, start + step - first, planes - first))
        for start in starts
        for first in range(start, start + step, size)
    )


def needed(streams: Streams, tiling: Tiling, resident: Collection[str], limits: Limits) -> int:
    """Bytes of SRAM of all buffers of a tiling."""
    total = sum(limits.align(shape.size) for shape in buffers(streams, tiling, resident).values())
    constants = constant_sizes(streams, tiling).values()
    return total + sum(count * limits.align(size) for count, size in constants)
