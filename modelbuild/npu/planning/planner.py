"""A fixed model and the chip's limits -> groups, what stays on the chip, tiles and every address."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from modelbuild.arithmetic.fixed_model import FixedModel
from modelbuild.npu.planning.actions import Places, actions
from modelbuild.npu.planning.allocate import Lifetime, allocate
from modelbuild.npu.planning.cutting import Limits, least_weights
from modelbuild.npu.planning.deep import Deep, deepened
from modelbuild.npu.planning.does_not_fit import DoesNotFit
from modelbuild.npu.planning.fitting import Fitted, Room, tiled, workspace
from modelbuild.npu.planning.grouping import Bundle, bundles
from modelbuild.npu.planning.keeping import Life, in_order, keepable, lives
from modelbuild.npu.planning.memory import FeatureMaps, Stretch, place_maps
from modelbuild.npu.planning.merging import Merging
from modelbuild.npu.planning.order import ends_first, renumbered, reordered
from modelbuild.npu.planning.plan import Buffer, Group, Plan, Workspace
from modelbuild.npu.planning.streams import Shape, Streams, buffers, constant_sizes
from modelbuild.npu.planning.views import Shared, share

EFFORT = 200  # orders that are tried to place what lies in SRAM
_SLACK = 4  # a group leaves at most this part of SRAM free before a map beside it goes


def plan(model: FixedModel, limits: Limits, *, deep: bool = False, dedicated: bool = True) -> Plan:
    """The plan of a model that `rewriting.rewritten` has seen: the default one, or the `deep` one that moves
    least. `dedicated`: outputs of the model share memory with nothing.

    An operator whose smallest step exceeds SRAM raises DoesNotFit with the bytes that it needs.
    """
    if not deep:
        return _planned(model, limits, None, dedicated)
    order = ends_first(model)
    return renumbered(_planned(reordered(model, order), limits, deepened, dedicated), order)


def _planned(
    model: FixedModel,
    limits: Limits,
    deepen: Callable[[FixedModel, Shared, Sequence[Bundle], Limits], Deep] | None,
    dedicated: bool,
) -> Plan:
    shared = share(model)
    groups: Sequence[Bundle] = bundles(model, shared)
    kept: frozenset[str] | None = None
    if deepen is not None:
        found = deepen(model, shared, groups, limits)
        groups, kept = found.groups, found.kept
    merging = Merging(model, shared, groups)
    while True:
        planning = _Planning(model, limits, shared, groups, kept)
        try:
            planning.fit()
            return planning.plan(dedicated)
        except _TooLarge as error:
            parts = merging.halves(groups[error.group])
            groups = [*groups[: error.group], *parts, *groups[error.group + 1 :]]


class _TooLarge(Exception):
    """A group does not fit and must be cut."""

    def __init__(self, group: int) -> None:
        super().__init__(group)
        self.group = group


@dataclass
class _Offsets:
    """Addresses in SRAM: of a kept root by its name, of a group's buffers by (group, tensor), (group, stage,
    turn) and (group,)."""

    of: dict[object, int] = field(default_factory=dict)
    peak: int = 0


class _Planning:
    """The decisions about one list of groups. `wanted` are the roots to keep, None: those for near groups."""

    def __init__(
        self,
        model: FixedModel,
        limits: Limits,
        shared: Shared,
        groups: Sequence[Bundle],
        wanted: frozenset[str] | None,
    ) -> None:
        self.model, self.limits, self.shared, self.groups = model, limits, shared, groups
        self.deep = wanted is not None
        self.lives = lives(model, shared, groups)
        self.streams = [Streams(model, group) if group.banded else None for group in groups]
        self.fitted: list[Fitted | None] = [None] * len(groups)
        self.kept: dict[str, Life] = self._near() if wanted is None else self._of(wanted)
        self.offsets = _Offsets()
        self.slack = [0] * len(groups)  # room that a group leaves, since what is kept lies in its way

    def fit(self) -> None:
        """Tiles every group beside what is kept, and places all in SRAM."""
        while True:
            while None in self.fitted:  # what is given up may free a group that had been fitted
                self._fit(self.fitted.index(None))
            if self._place():
                return

    def plan(self, dedicated: bool) -> Plan:
        """The whole plan, once all is fitted."""
        groups = tuple(self._group(index) for index in range(len(self.groups)))
        maps = self._maps(dedicated)
        dram = {root: maps.address[root] for root in self.lives if root not in self.kept}
        tilings = [found.tiling for found in self.fitted if found and found.tiling]
        over_batch = any(tiling.over_batch for tiling in tilings)
        return Plan(groups, self.shared.views, dram, self.offsets.peak, self.shared.inside, maps, over_batch)

    def _of(self, wanted: frozenset[str]) -> dict[str, Life]:
        found = keepable(self.model, self.shared, self.groups, self.lives)
        return {life.root: life for life in found if life.root in wanted}

    def _near(self) -> dict[str, Life]:
        """In the order of their making, each map that fits beside those already kept."""
        found = keepable(self.model, self.shared, self.groups, self.lives)
        return in_order(
            found,
            least_weights(self.streams, self.limits),
            self.limits.sram_bytes,
            self.limits.keeps_for_groups,
        )

    def resident(self, index: int) -> frozenset[str]:
        """The tensors of a group that lie in kept maps."""
        group, view = self.groups[index], self.shared.view
        made = (self.model.operators[each].outputs[0] for each in (*group.members, *group.joins))
        names = (*group.reads, *made)
        return frozenset(name for name in names if name in view and view[name].root in self.kept)

    def _alive(self, index: int) -> list[Life]:
        return [life for life in self.kept.values() if life.first <= index <= life.last]

    def _fit(self, index: int) -> None:
        """Finds a tiling beside what is kept, or gives up the largest map that is kept at the time."""
        alive = self._alive(index)
        room = self.limits.sram_bytes - sum(self.limits.align(life.size) for life in alive)
        found = self._fitting(index, Room(room - self.slack[index] if alive else room, not alive))
        if found is not None:
            self.fitted[index] = found
            return
        self._evict(max(alive, key=lambda life: (life.size, life.root)))

    def _evict(self, life: Life) -> None:
        del self.kept[life.root]
        for index in range(life.first, life.last + 1):
            self.slack[index] = 0
        for index, group in enumerate(self.groups):
            if any(
                self.shared.view[name].root == life.root
                for name in (*group.reads, *group.writes)
                if name in self.shared.view
            ):
                self.fitted[index] = None

    def _fitting(self, index: int, room: Room) -> Fitted | None:
        streams, members = self.streams[index], self.groups[index].members
        if streams is None:
            return workspace(self.model, self.model.operators[members[0]], room, self.limits)
        try:
            return tiled(streams, self.resident(index), room, self.limits, self.deep)
        except DoesNotFit:
            if not room.must:
                return None
            if len(members) > 1:
                raise _TooLarge(index) from None
            raise

    def _place(self) -> bool:
        """Addresses in SRAM; False, and groups use less or one map less is kept, if they do not fit."""
        offsets = _Offsets()
        items: list[tuple[object, int, int, int]] = [
            (root, self.limits.align(life.size), life.first, life.last) for root, life in self.kept.items()
        ]
        for index in range(len(self.groups)):
            items += [(key, size, index, index) for key, size in self._local(index)]
        capacity = self.limits.sram_bytes
        found = allocate([Lifetime(*item[1:]) for item in items], EFFORT, capacity) if items else []
        for (key, size, _, _), offset in zip(items, found, strict=True):
            offsets.of[key] = offset
            offsets.peak = max(offsets.peak, offset + size)
        if offsets.peak <= capacity:
            self.offsets = offsets
            return True
        over = {
            index: offset + size - capacity
            for (_, size, first, last), offset in zip(items, found, strict=True)
            if offset + size > capacity
            for index in range(max(0, first), min(last, len(self.groups) - 1) + 1)
        }
        self._give_way(over)
        return False

    def _give_way(self, over: dict[int, int]) -> None:
        """Groups that lie beyond SRAM by so many bytes use less of it, or one map less is kept."""
        most = self.limits.sram_bytes // _SLACK if self.deep else 0
        smaller = [index for index in over if self.slack[index] < most]
        for index in smaller:
            self.slack[index] += self.limits.align(over[index])
            self.fitted[index] = None
        if not smaller:
            beside = [life for index in over for life in self._alive(index)]
            self._evict(max(beside, key=lambda life: (life.size, life.root)))

    def _local(self, index: int) -> Iterator[tuple[object, int]]:
        """The buffers of a group, and their sizes."""
        streams, fitted = self.streams[index], self.fitted[index]
        assert fitted is not None
        if streams is None or fitted.tiling is None:
            if fitted.needed:
                yield (index,), fitted.needed
            return
        for name, shape in buffers(streams, fitted.tiling, self.resident(index)).items():
            if shape.size:
                yield (index, name), self.limits.align(shape.size)
        for stage, (count, size) in constant_sizes(streams, fitted.tiling).items():
            for turn in range(count):
                yield (index, stage, turn), self.limits.align(size)

    def _group(self, index: int) -> Group:
        group, streams, fitted = self.groups[index], self.streams[index], self.fitted[index]
        of = self.offsets.of
        assert fitted is not None
        kept = tuple(sorted(life.root for life in self._alive(index)))
        if streams is None or fitted.tiling is None:
            on_chip = self.model.operators[group.members[0]].unit == "npu"
            space = Workspace(of.get((index,), 0), fitted.needed) if on_chip else None
            return Group(group.members, (), space, kept)
        resident = self.resident(index)
        shapes = buffers(streams, fitted.tiling, resident)
        places = Places(
            {name: _buffer(shape, of.get((index, name), 0)) for name, shape in shapes.items()},
            {
                stage: tuple(of[(index, stage, turn)] for turn in range(count))
                for stage, (count, _) in constant_sizes(streams, fitted.tiling).items()
            },
            {
                name: of[self.shared.view[name].root] + self.shared.view[name].offset
                for name in sorted(resident)
            },
        )
        return Group(group.members, actions(streams, fitted.tiling, places), None, kept)

    def _maps(self, dedicated: bool) -> FeatureMaps:
        """Memory in DRAM of the maps that reach it, with all tensors that share it."""
        sharers: dict[str, list[str]] = {}
        for name, view in self.shared.view.items():
            sharers.setdefault(view.root, []).append(name)
        stretches = [
            Stretch(tuple(sharers[root]), life.size, life.first, life.last)
            for root, life in self.lives.items()
            if root not in self.kept
        ]
        found = place_maps(self.model.inputs, self.model.outputs, stretches, dedicated)
        address = {
            name: found.address[view.root] + view.offset
            for name, view in self.shared.view.items()
            if view.root in found.address
        }
        return replace(found, address=address)


def _buffer(shape: Shape, address: int) -> Buffer:
    return Buffer(address, shape.planes, shape.slots, shape.row_bytes)
