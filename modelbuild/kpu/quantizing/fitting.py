"""The best pieces for a curve: dynamic programming over where they begin, then each moved a little.

A line of the table begins at a whole step of the output. Its cost is by how much the mean squared distance of
the byte from the function (not from the rounded function) is above that of rounding itself: e² of a line that
is off by e, and 1/2 more if it falls, which the KPU rounds badly (docs/arithmetic.md, kpu@1). So where the
output falls by a few steps, constant pieces are often better.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelbuild.kpu.quantizing.expected import interpolated
from modelbuild.kpu.quantizing.pieces import PIECES, Piece, Real
from modelbuild.kpu.quantizing.target import BYTE, Domain

Wide = NDArray[np.int64]

_PARTS = 4  # of a step
CANDIDATES = 400  # places where pieces may begin
_FALLING = 1 / 2  # mean square of what the KPU's rounding of negative products adds, its mean made up for
_MOVES = np.concatenate([np.arange(-9, 10) / 20 + whole for whole in (-1, 0, 1)])  # steps of the output
_PASSES = 2
_ROWS = 40  # of the table of costs at a time
_NOISE = 1e-12  # share of a running sum, below which a difference of two may be rounding alone


class Moments:
    """Running sums over the samples, so that the best line of any stretch takes no loop. Places are shares of
    the domain, 0...1."""

    def __init__(self, places: Real, steps: Real, weights: Real) -> None:
        self.places = places
        products = (weights, weights * places, weights * places * places)
        lost = weights * np.square(steps - np.rint(steps))
        rows = (*products, weights * steps, products[1] * steps, weights * steps * steps, lost)
        self.sums = np.zeros((7, len(places) + 1))
        np.add.accumulate(np.array(rows), axis=1, out=self.sums[:, 1:])

    def number(self, at: Real) -> Wide:
        """The first sample above each place."""
        return np.asarray(np.searchsorted(self.places, at, side="right"), np.int64)

    def costs(self, start: Real, add: Real, first: Wide, last: Wide) -> tuple[Real, Real, Real]:
        """Cost, slope and constant of the best piece over the samples first...last of those that begin at
        `start` with `add`; a slope of 0 stands for a constant, the third. All broadcast."""
        w, x, xx, g, gx, gg, lost = (row[last] - row[first] for row in self.sums)
        rise = gx - start * g - add * (x - start * w)
        square = xx - start * (2 * x - start * w)
        known = square > _NOISE * self.sums[2][last]
        slope = rise / np.where(known, square, 1.0)
        line = gg - add * (2 * g - add * w) - rise * slope
        line += np.where(slope >= 0, 0.0, _FALLING) * w
        line = np.where(known, line, np.inf)
        level = np.clip(np.rint(g / np.maximum(w, 1e-300)), 0, BYTE)
        constant = gg - level * (2 * g - level * w) - lost
        better = line < constant
        return np.where(better, line, constant), np.where(better, slope, 0.0), level


@dataclass
class _Cuts:
    """Pieces on their way: where each begins, and with what."""

    start: Real
    add: Real


def fitted_pieces(places: Real, steps: Real, weights: Real, domain: Domain) -> list[Piece]:
    """At most 15 pieces for the steps (within 0...255) at `places`; before them the table holds
    `domain.before`. Behind the last one it is that one's line, or the constant `domain.after`."""
    span = places[-1] - places[0]
    shares = (places - places[0]) / span
    moments = Moments(shares, steps, weights)
    start, add = _candidates(shares, steps)
    cuts, ends_constant = _best(moments, start, add, domain)
    _move(moments, cuts, ends_constant)
    made = _pieces(moments, cuts, domain, ends_constant)
    return [Piece(float(np.rint(p.start * span + places[0])), p.slope / span, p.add) for p in made]


def _candidates(shares: Real, steps: Real) -> tuple[Real, Real]:
    """Places where the function meets a quarter of a step, with the whole step nearest to it; as many as are
    wanted, most where it bends."""
    level = _PARTS * steps
    before, rise = level[:-1], np.diff(level)
    low, high = np.minimum(before, level[1:]), np.maximum(before, level[1:])
    first = np.floor(low) + 1  # a whole one at the left end belongs to the cell before
    count = np.maximum(np.floor(high) - first + 1, 0).astype(np.int64)
    cell = np.repeat(np.arange(len(low)), count)
    met = first[cell] + (np.arange(len(cell)) - np.repeat(np.add.accumulate(count) - count, count))
    part = (met - before[cell]) / rise[cell]
    at = shares[cell] + part * (shares[1] - shares[0])
    order = np.argsort(at, kind="stable")
    at, met = at[order], met[order]
    if len(at) > CANDIDATES:
        bend = np.zeros(len(shares))
        bend[1:-1] = np.sqrt(np.abs(np.diff(steps, 2)))
        bent = np.add.accumulate(bend)
        bent = interpolated(at, shares, bent / max(float(bent[-1]), 1e-300))
        worth = bent + (np.arange(len(at)) + 1) / len(at)
        bucket = np.floor(worth * (CANDIDATES / 2)).astype(np.int64)
        halves = (met % _PARTS != 0).astype(np.int64) + (2 * met % _PARTS != 0)  # whole steps first
        best = np.lexsort((halves, bucket))
        chosen = best[np.unique(bucket[best], return_index=True)[1]]
        at, met = at[chosen], met[chosen]
    at, met = np.append(0.0, at), np.append(_PARTS * steps[0], met)
    return at, np.clip(np.rint(met / _PARTS), 0, BYTE)


def _best(moments: Moments, start: Real, add: Real, domain: Domain) -> tuple[_Cuts, bool]:
    """Where pieces begin, and whether the last one is the constant `domain.after`."""
    first = moments.number(start)
    first[0] = 0
    count, end = len(start), len(moments.places)
    last = np.append(first, end)
    cost, slope = np.full((count, count + 1), np.inf), np.zeros(count)
    for row in range(0, count, _ROWS):  # a piece ends behind its start: half of the table is empty
        rows = np.arange(row, min(row + _ROWS, count))[:, None]
        part = moments.costs(start[rows], add[rows], first[rows], last[row + 1 :])
        cost[row : row + _ROWS, row + 1 :] = np.where(np.arange(row + 1, count + 1) > rows, part[0], np.inf)
        slope[row : row + _ROWS] = part[1][:, -1]
    w, _, _, g, _, gg, lost = moments.sums
    gg = gg - lost
    before = gg[first] - domain.before * (2 * g[first] - domain.before * w[first])
    rest = [total[-1] - total for total in (w, g, gg)]
    after = rest[2][last] - domain.after * (2 * rest[1][last] - domain.after * rest[0][last])
    between = cost[:, :count]
    reached, origins = before, list[Wide]()
    options: list[tuple[float, int, int, bool]] = []
    # The last piece may run on where the output leaves 0...255 behind it.
    runs_on = np.full(count, np.inf)
    if domain.after in (0, BYTE) or domain.open_above:
        fine = slope > 0 if domain.after == BYTE else slope < 0
        runs_on = np.where(fine | domain.open_above, cost[:, count], np.inf)
    for number in range(PIECES - 1):
        constant = reached + after[:count]
        options.append((float(constant.min()), number, int(constant.argmin()), True))
        line = reached + runs_on
        options.append((float(line.min()), number, int(line.argmin()), False))
        total = reached[:, None] + between
        origin = total.argmin(axis=0)
        origins.append(np.asarray(origin, np.int64))
        reached = total[origin, np.arange(count)]
    _, number, place, is_constant = min(options, key=lambda option: (option[0], option[1]))
    chosen = [place]
    for origin in reversed(origins[:number]):
        chosen.append(int(origin[chosen[-1]]))
    chosen.reverse()
    return _Cuts(start[chosen], add[chosen]), is_constant


def _move(moments: Moments, cuts: _Cuts, ends_constant: bool) -> None:
    """Each start moved along its line, by parts of a step, where the two pieces beside it get better."""
    count, end = len(cuts.start), len(moments.places)
    for number in [*range(1, count - int(ends_constant))] * _PASSES:
        borders = [cuts.start[number - 1], cuts.start[number + 1] if number + 1 < count else 1.0]
        first, last = (int(each) for each in moments.number(np.array(borders)))
        first, last = (0 if number == 1 and borders[0] <= 0 else first), (last if number + 1 < count else end)
        here = moments.number(cuts.start[number : number + 1])
        _, slope, _ = moments.costs(cuts.start[number], cuts.add[number], here, np.array([last]))
        steepness = float(slope[0])
        if steepness == 0.0:
            at = borders[0] + (borders[1] - borders[0]) * (np.arange(1, 40) / 40)
            add = np.full(len(at), cuts.add[number])
        else:
            at = cuts.start[number] + _MOVES / steepness
            add = cuts.add[number] + np.rint(_MOVES)
        at, add = np.append(at, cuts.start[number]), np.append(add, cuts.add[number])
        fine = (at > borders[0]) & (at < borders[1]) & (add >= 0) & (add <= BYTE)
        at, add = at[fine], add[fine]
        middle = moments.number(at)
        left = moments.costs(cuts.start[number - 1], cuts.add[number - 1], np.array(first), middle)[0]
        right = moments.costs(at, add, middle, np.array(last))[0]
        best = int((left + right).argmin())
        cuts.start[number], cuts.add[number] = at[best], add[best]


def _pieces(moments: Moments, cuts: _Cuts, domain: Domain, ends_constant: bool) -> list[Piece]:
    first = moments.number(cuts.start)
    if cuts.start[0] <= 0:
        first[0] = 0
    last = np.append(first[1:], len(moments.places))
    _, slope, level = moments.costs(cuts.start, cuts.add, first, last)
    made = []
    for number in range(len(first)):
        if ends_constant and number == len(first) - 1:
            made.append(Piece(float(cuts.start[number]), 0.0, domain.after))
        elif slope[number] == 0.0:
            made.append(Piece(float(cuts.start[number]), 0.0, int(level[number])))
        else:  # one more of a falling line: the KPU rounds it down by one in the mean
            add = int(cuts.add[number]) + int(slope[number] < 0)
            made.append(Piece(float(cuts.start[number]), float(slope[number]), min(add, BYTE)))
    return made
