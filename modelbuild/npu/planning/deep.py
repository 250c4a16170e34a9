"""The deep tiling: which runs of groups are executed as one, and which maps stay on the chip for as long as
they are needed, so that least is moved (docs/tiling.md)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelbuild.arithmetic.fixed_model import FixedModel
from modelbuild.npu.planning.cutting import Limits, least_weights, moved, traffic, weight_bytes
from modelbuild.npu.planning.forms import form
from modelbuild.npu.planning.grouping import Bundle
from modelbuild.npu.planning.keeping import Life, in_order, keepable, lives
from modelbuild.npu.planning.merging import Merging
from modelbuild.npu.planning.runs import Runs
from modelbuild.npu.planning.streams import Streams
from modelbuild.npu.planning.views import Shared

Choice = NDArray[np.bool_]
Bytes = NDArray[np.float64]
TRIALS = 900  # sets of kept maps that are tried
_USABLE = 0.7  # of the room, for a tile of what is read again
_REFUSED = 1e15  # bytes
_PART = 16  # output channels of the smallest part of weights


@dataclass(frozen=True)
class Deep:
    """The groups to be executed, and the roots that stay on the chip. `bytes_moved` is an estimate."""

    groups: tuple[Bundle, ...]
    kept: frozenset[str]
    bytes_moved: int


def deepened(model: FixedModel, shared: Shared, groups: Sequence[Bundle], limits: Limits) -> Deep:
    """Runs of `groups`, by dynamic programming over where to cut, for each of the sets of kept maps that a
    search tries. Depends on its arguments alone."""
    merging = Merging(model, shared, groups)
    problem = _Problem(model, shared, merging, limits)
    kept, cost = _search(problem)
    cuts = problem.cut(kept)[1]
    merged = [merging.merged(groups[first : last + 1]) for first, last in cuts]
    assert all(bundle is not None for bundle in merged)
    inside = {
        life.root
        for life in problem.candidates
        for first, last in cuts
        if first <= life.first and life.last <= last
    }
    names = (life.root for life, chosen in zip(problem.candidates, kept, strict=True) if chosen)
    found = tuple(bundle for bundle in merged if bundle is not None)
    return Deep(found, frozenset(names) - inside, int(cost))


def last_uses(model: FixedModel, merging: Merging) -> dict[str, int]:
    """Tensor that an operator makes -> the last group that reads a part of it."""
    found: dict[str, int] = {}
    uses = [(name, index) for index, group in enumerate(merging.groups) for name in group.reads]
    for name, index in [*uses, *((name, len(merging.groups)) for name in model.outputs)]:
        for maker in merging.makers_of(name):
            for made in model.operators[maker].outputs:
                found[made] = max(found.get(made, -1), index)
    for index, group in enumerate(merging.groups):
        for member in group.members:
            for name in model.operators[member].inputs:
                found[name] = max(found.get(name, -1), index)
    return found


class _Problem:
    """All runs as arrays: what each moves and holds, for any set of kept maps.

    By run: `first` and `last` group; `base` bytes that are moved and `hold` bytes of SRAM whatever is kept;
    `alive` [runs, candidates] bytes of a kept map that lies in SRAM meanwhile and is not of the run alone. By
    pair of a run and a candidate that it uses: `run_of`, `root_of`; `ring_of` bytes of its ring where it is
    not kept, `size_of` bytes moved then; `crosses`, whether others use it, too. By run of a single group,
    whose rows are `single`: bytes of `weights`, what it holds `least` less where these pass in parts, and
    bytes `common` of the map that each part needs whole, which is candidate `common_root` (-1: none).

    `starts` are sets of candidates to begin with: none, all, those that the default keeps, and those that it
    would keep if it kept maps for as long as they are needed."""

    def __init__(self, model: FixedModel, shared: Shared, merging: Merging, limits: Limits) -> None:
        self.limits, self.groups = limits, merging.groups
        streams = [Streams(model, group) if group.banded else None for group in merging.groups]
        found = lives(model, shared, merging.groups)
        self.candidates: list[Life] = [
            life for life in keepable(model, shared, merging.groups, found) if life.last > life.first
        ]
        number = {life.root: index for index, life in enumerate(self.candidates)}
        runs = list(Runs(merging, streams, limits, last_uses(model, merging)))
        alone = [
            (index, _moved_alone(model, group, limits))
            for index, group in enumerate(merging.groups)
            if not group.banded
        ]
        self.first = np.array([run.first for run in runs] + [index for index, _ in alone])
        self.last = np.array([run.last for run in runs] + [index for index, _ in alone])
        weights = [weight_bytes(it) if it else 0 for it in streams]
        total = np.concatenate([[0], np.cumsum(weights)])
        self.base: Bytes = np.zeros(len(self.first))
        self.hold: Bytes = np.zeros(len(self.first))
        entries: list[tuple[int, int, int, int]] = []
        for place, run in enumerate(runs):
            self.base[place] = total[run.last + 1] - total[run.first]
            self.hold[place] = run.constants
            for root in dict.fromkeys((*run.rings, *run.moved)):
                ring, size = run.rings.get(root, 0), run.moved.get(root, 0)
                if root in number:
                    entries.append((place, number[root], ring, size))
                else:
                    self.base[place] += size
                    self.hold[place] += ring
        for place, (_, size) in enumerate(alone, len(runs)):
            self.base[place] = size
        columns = np.array(entries, np.int64).reshape(-1, 4).T
        self.run_of, self.root_of = columns[0], columns[1]
        self.ring_of, self.size_of = columns[2].astype(float), columns[3].astype(float)
        begin = np.array([life.first for life in self.candidates], np.int64)
        end = np.array([life.last for life in self.candidates], np.int64)
        sizes = np.array([limits.align(life.size) for life in self.candidates], float)
        meets = (begin[None, :] <= self.last[:, None]) & (end[None, :] >= self.first[:, None])
        within = (begin[None, :] >= self.first[:, None]) & (end[None, :] <= self.last[:, None])
        self.alive: Bytes = np.where(meets & ~within, sizes[None, :], 0.0)
        self.crosses = ~within[self.run_of, self.root_of]
        self.by_last = [np.flatnonzero(self.last == index) for index in range(len(merging.groups))]
        self.starts = self._starts(least_weights(streams, limits))
        self._singles(model, shared, streams, number, runs_of=len(runs))

    def _starts(self, used: Sequence[int]) -> list[Choice]:
        count = len(self.candidates)
        found = [np.zeros(count, bool), np.ones(count, bool)]
        for reach in (self.limits.keeps_for_groups, 0):
            kept = in_order(self.candidates, used, self.limits.sram_bytes, reach)
            found.append(np.array([life.root in kept for life in self.candidates], bool))
        return found

    def _singles(
        self,
        model: FixedModel,
        shared: Shared,
        streams: Sequence[Streams | None],
        number: dict[str, int],
        runs_of: int,
    ) -> None:
        """Groups alone: their weights may pass in parts, and maps or weights be read again."""
        rows = np.flatnonzero(self.first[:runs_of] == self.last[:runs_of])
        self.single = rows
        self.weights: Bytes = np.zeros(len(rows))
        self.least: Bytes = np.zeros(len(rows))
        self.common: Bytes = np.zeros(len(rows))
        self.common_root = np.full(len(rows), -1)
        for place, row in enumerate(rows):
            found = streams[self.first[row]]
            assert found is not None
            size = weight_bytes(found)
            self.weights[place] = size
            self.least[place] = min(size, size * _PART // max(1, found.planes)) - size
            self.common[place] = traffic(found, (), self.limits).common
            for name in found.source_rows:
                root = shared.view[name].root if name in shared.view else ""
                if root in number and self.common[place]:
                    self.common_root[place] = number[root]
                    break

    def cost(self, kept: Choice) -> Bytes:
        """Bytes that each run moves; infinite where it does not fit."""
        chosen = kept[self.root_of] & self.crosses
        count = len(self.first)
        spilled = np.bincount(self.run_of, np.where(kept[self.root_of], 0.0, self.size_of), count)
        rings = np.bincount(self.run_of, np.where(chosen, 0.0, self.ring_of), count)
        alive = self.alive @ kept.astype(float)
        cost: Bytes = self.base + spilled
        need = self.hold + rings + alive
        fits = need <= self.limits.sram_bytes
        if len(self.single):
            room = self.limits.sram_bytes - alive[self.single]
            held = np.append(kept, False)[self.common_root]  # -1: no map that could be kept
            common = np.where(held, 0.0, self.common)
            tile = np.maximum(1.0, _USABLE * room)
            again = np.minimum(
                (np.ceil(self.weights / tile) - 1).clip(0) * common,
                (np.ceil(common / tile) - 1).clip(0) * self.weights,
            )
            cost[self.single] += np.where(fits[self.single], 0.0, again)
            fits[self.single] |= need[self.single] + self.least <= self.limits.sram_bytes
            cost[self.single] += np.where(fits[self.single], 0.0, _REFUSED)  # it may fit in smaller parts
            fits[self.single] = True
        return np.where(fits, cost, np.inf)

    def cut(self, kept: Choice) -> tuple[float, list[tuple[int, int]]]:
        """The least that is moved in all, and the first and last groups of the runs that do it."""
        cost = self.cost(kept)
        best = np.zeros(len(self.groups) + 1)
        chosen = [0] * len(self.groups)
        for index, ending in enumerate(self.by_last):
            values = best[self.first[ending]] + cost[ending]
            place = int(values.argmin())
            best[index + 1] = values[place]
            chosen[index] = int(self.first[ending[place]])
        cuts = []
        last = len(self.groups) - 1
        while last >= 0:
            cuts.append((chosen[last], last))
            last = chosen[last] - 1
        return float(best[-1]), cuts[::-1]


def _moved_alone(model: FixedModel, group: Bundle, limits: Limits) -> int:
    """Bytes that an operator with a loop of its own moves; the host's are not counted."""
    if any(model.operators[index].unit != "npu" for index in group.members):
        return 0
    names = [name for name in (*group.reads, *group.writes) if name not in model.constants]
    return sum(moved(form(model.tensors[name]), limits.row_alignment) for name in names)


def _search(problem: _Problem) -> tuple[Choice, float]:
    """The best set of kept maps that is found: from several starts, one map in or out, then one for another,
    as long as that helps. Some maps save only together, so that not all starts are empty."""
    count = len(problem.candidates)
    nothing, *others = problem.starts
    best = (problem.cut(nothing)[0], nothing)
    trials = _Trials(problem)
    spans = [(life.last - life.first, life.size, life.first) for life in problem.candidates]
    keys: list[list[tuple[int, int]]] = [
        [(span, size) for span, size, _ in spans],
        [(span * size, first) for span, size, first in spans],
        [(-size, first) for _, size, first in spans],
    ]
    for key in keys:
        ranked = sorted(range(count), key=key.__getitem__)
        found = trials.climb(nothing, ranked)
        if found[0] < best[0]:
            best = found
    for start in others:  # behind the empty ones: where it is the same, less is kept
        found = trials.climb(start, range(count))
        if found[0] < best[0]:
            best = found
    improved = True
    while improved and trials.left > 0:
        improved = False
        for out in np.flatnonzero(best[1]):
            without = best[1].copy()
            without[out] = False
            found = trials.climb(without, [index for index in range(count) if index != out])
            if found[0] < best[0]:
                best, improved = found, True
                break
    return best[1], best[0]


class _Trials:
    """Counts what is tried, so that the search ends."""

    def __init__(self, problem: _Problem) -> None:
        self.problem = problem
        self.left = TRIALS

    def climb(self, kept: Choice, order: Sequence[int]) -> tuple[float, Choice]:
        """Turns each map in turn, as long as something gets better."""
        best = self.problem.cut(kept)[0]
        kept = kept.copy()
        improved = True
        while improved and self.left > 0:
            improved = False
            for index in order:
                if self.left <= 0:
                    break
                self.left -= 1
                kept[index] ^= True
                cost = self.problem.cut(kept)[0]
                if cost < best:
                    best, improved = cost, True
                else:
                    kept[index] ^= True
        return best, kept
