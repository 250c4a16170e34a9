"""Functions that are straight lines already: Relu, Clip, LeakyRelu. Their pieces are found, not fitted."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from modelbuild.kpu.quantizing.pieces import LOWEST, PIECES, Piece, Real, held
from modelbuild.kpu.quantizing.target import BYTE, Domain

_SAME = 1e-7  # steps of the output between neighbouring samples that make no difference
_WHOLE = 1e-6  # steps of the output that a whole number may be off
_SMALL = 2.0**-14  # steps of the output that a rounded slope may cost


def straight_pieces(places: Real, steps: Real, domain: Domain) -> list[Piece] | None:
    """The pieces of a function sampled at `places` (its steps, not within 0...255); None where it is not
    made of few lines that rise, or where their corners do not tell where a table's pieces begin."""
    lines = _lines(places, steps)
    if lines is None or any(slope < 0 for _, _, slope in lines):
        return None
    made: list[Piece] = []
    for corner, value, slope in lines:
        piece = _begun(corner, value, slope)
        if made and piece.start <= made[-1].start:
            return None
        made.append(piece)
    if made[-1].slope > 0 and not (domain.after == BYTE or domain.open_above):
        made.append(Piece(domain.high, 0.0, domain.after))
    return _divided(made, domain) if len(made) < PIECES else None


def _lines(places: Real, steps: Real) -> list[tuple[float, float, float]] | None:
    """(corner, value there, slope) of each line."""
    rises = np.diff(steps)
    breaks = np.flatnonzero(np.abs(np.diff(rises)) > _SAME)  # cell i and i + 1 differ
    if len(breaks) > 3 * PIECES:
        return None
    edges = [0, *(int(i) + 1 for i in breaks), len(rises)]
    runs = list(pairwise(edges))
    long = [run for run in runs if run[1] - run[0] >= 2]
    if not long or long[0][0] > 0 or long[-1][1] < len(rises):
        return None
    if any(after[0] - before[1] > 1 for before, after in pairwise(long)):
        return None
    found: list[tuple[float, float, float]] = []
    for first, last in long:
        slope = (steps[last] - steps[first]) / (places[last] - places[first])
        if np.abs(rises[first:last]).max() <= _SAME:
            slope = 0.0
        corner, value = float(places[first]), float(steps[first])
        if found:
            known, height, before = found[-1]
            if slope == before:
                return None
            at = (height - before * known - (value - slope * corner)) / (slope - before)
            cell = places[1] - places[0]
            if not corner - 1.5 * cell <= at <= corner + 0.5 * cell:
                return None
            corner, value = at, height + before * (at - known)
        found.append((corner, value, float(slope)))
    return found


def _begun(corner: float, value: float, slope: float) -> Piece:
    """A table's line begins at a whole step of 0...255: at the nearest on it to its corner. A line before it
    that is constant there rounds to the same byte, another one is off for less than half a step."""
    nearest = float(np.clip(np.rint(value), 0, BYTE))
    if slope == 0.0:
        return Piece(float(np.floor(corner)), 0.0, int(nearest))
    exact = abs(value - nearest) < _WHOLE
    start = float(np.rint(corner if exact else corner + (nearest - value) / slope))
    return Piece(max(start, float(LOWEST)), slope, int(nearest))


def _divided(pieces: list[Piece], domain: Domain) -> list[Piece]:
    """With lines whose slopes are rounded begun anew on their way, as long as the table has room."""
    while len(pieces) < PIECES - 1:
        ends = [*(piece.start for piece in pieces[1:]), domain.high]
        errors = [
            abs(held(piece.slope) - piece.slope) * (end - piece.start)
            for piece, end in zip(pieces, ends, strict=True)
        ]
        worst = int(np.argmax(errors))
        piece, end = pieces[worst], ends[worst]
        rise = int(np.rint((end - piece.start) * piece.slope / 2))
        start = float(np.rint(piece.start + rise / piece.slope)) if rise else piece.start
        if errors[worst] <= _SMALL or not piece.start < start < end or not piece.add + rise <= BYTE:
            break
        pieces = [*pieces[: worst + 1], Piece(start, piece.slope, piece.add + rise), *pieces[worst + 1 :]]
    return pieces
