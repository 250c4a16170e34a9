"""How a group is run in so many bytes of SRAM: the best tiling that fits, or the workspace of a loop."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from modelbuild.arithmetic.fixed_model import FixedModel, FixedOperator
from modelbuild.npu.planning.cutting import (
    Limits,
    least_moved,
    needed,
    over_batch,
    tile_bytes,
    tilings,
    traffic,
    whole_weights,
)
from modelbuild.npu.planning.does_not_fit import DoesNotFit
from modelbuild.npu.planning.memory import ALIGNMENT
from modelbuild.npu.planning.streams import Streams, Tiling
from modelbuild.npu.planning.workspace import least_workspace

WORKSPACE_TILES = 4  # tiles that an operator with a loop of its own works in
_NEVER = 1 << 62


@dataclass(frozen=True)
class Fitted:
    """How a group is run: a tiling, or a workspace of so many bytes."""

    needed: int
    tiling: Tiling | None = None


@dataclass(frozen=True)
class Room:
    """`bytes` of SRAM for a group. `must`: there is no more to be had, so that the smallest tilings count,
    too."""

    bytes: int
    must: bool


def tiled(streams: Streams, resident: frozenset[str], room: Room, limits: Limits, deep: bool) -> Fitted:
    """The first tiling that fits, `deep` ones by what they move. Errors: DoesNotFit with what the smallest of
    those that were looked at needs."""
    least = _NEVER
    for tiling in _tilings(streams, resident, room, limits, deep):
        size = needed(streams, tiling, resident, limits)
        least = min(least, size)
        if size <= room.bytes:
            return Fitted(size, tiling)
    raise DoesNotFit(least, streams.bundle.members[0])


def _tilings(
    streams: Streams, resident: frozenset[str], room: Room, limits: Limits, deep: bool
) -> Iterator[Tiling]:
    """Tilings of a group, best first."""
    if not streams.is_divisible:
        yield from whole_weights(streams, resident, room.bytes, limits)
        return
    found = traffic(streams, resident, limits)
    if deep:
        yield from least_moved(streams, found, room.bytes, limits)
    tile = tile_bytes(found, limits) if room.must or not deep else 0
    if tile:
        yield from over_batch(streams, found, tile, limits)
    while tile:
        yield from tilings(streams, found, tile, limits)
        tile = tile // 2 if room.must else 0


def workspace(model: FixedModel, operator: FixedOperator, room: Room, limits: Limits) -> Fitted | None:
    """The bytes in which an operator with a loop of its own works; None if there are too few."""
    if operator.unit != "npu":
        return Fitted(0)
    least = least_workspace(model, operator)
    wanted = max(least, min(WORKSPACE_TILES * limits.tile_bytes, limits.sram_bytes // 2))
    if room.bytes >= min(wanted, limits.sram_bytes) or room.must:
        size = limits.align(max(wanted, WORKSPACE_TILES * limits.tile_bytes))
        return Fitted(min(size, room.bytes // ALIGNMENT * ALIGNMENT))
    return None
