"""The activation table of a KPU layer: 16 straight pieces from values of 36 bits to bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelbuild.arithmetic.fixed_model import Integers, QuantizedTensor
from modelbuild.errors import ModelbuildError
from modelbuild.kpu.quantizing.expected import Expected
from modelbuild.kpu.quantizing.fitting import fitted_pieces
from modelbuild.kpu.quantizing.pieces import HIGHEST, LOWEST, PIECES, Piece, fixed
from modelbuild.kpu.quantizing.straight import straight_pieces
from modelbuild.kpu.quantizing.target import (
    BYTE,
    SAMPLES,
    Domain,
    Function,
    Target,
    domain_of,
    weights_of,
)

__all__ = ["Function", "Segments", "fit_segments"]


@dataclass(frozen=True)
class Segments:
    """For the last i with start[i] < v: byte = R((v - start) * multiplier, shift) + add, within 0...255; R is
    the KPU's rounding (docs/arithmetic.md, kpu@1). 16 each; what is not needed repeats the last."""

    start: NDArray[np.int64]
    multiplier: NDArray[np.int16]
    shift: NDArray[np.uint8]
    add: NDArray[np.uint8]

    def constants(self) -> dict[str, Integers]:
        """As `kpu_conv` names them."""
        return {
            "segment_start": self.start,
            "segment_multiplier": self.multiplier,
            "segment_shift": self.shift,
            "segment_add": self.add,
        }

    def codes(self, values: NDArray[Any]) -> NDArray[np.uint8]:
        """The bytes of whole values above the first start, exactly."""
        number = np.searchsorted(self.start, values, side="left") - 1
        factor, shift, add = (row.astype(np.int64)[number] for row in (self.multiplier, self.shift, self.add))
        product = (np.asarray(values, np.int64) - self.start[number]) * factor
        whole = product >> shift
        twice = 2 * (product - (whole << shift)) - (np.int64(1) << shift)  # above 0: more than a half
        up = (twice > 0) | ((twice == 0) & (whole & 1 == 1))
        found = whole + np.where(up, np.where(product < 0, -1, 1), 0) + add
        return np.asarray(np.clip(found, 0, BYTE), np.uint8)


def fit_segments(
    function: Function,
    low: int,
    high: int,
    v_scale: float,
    output: QuantizedTensor,
    seen: Expected | None = None,
    offset: float = 0.0,
) -> Segments:
    """The table for round(function(v * v_scale) / output.scale) + output.zero_point, low <= v <= high.

    `function`: all that is behind the convolution, on float64, element by element; made of single IEEE
    operations if tables are to be the same on every machine: this is all that decides here. `low`, `high`:
    what can occur (`batch_norm`), whole numbers of 36 bits. `v_scale` in real units a step; negative
    where values were turned. `seen`: where v * v_scale is `expected`, and errors count; without it
    they count the same wherever the output changes. `offset` in steps of the output, for mean pools behind
    it (`lost_by`).
    Errors: ModelbuildError for values of more than 36 bits, and where the function is no number.
    """
    if not LOWEST < low <= high <= HIGHEST:
        raise ModelbuildError(
            f"values of {low} to {high} do not fit the 36 bits before an activation table",
            advice="its weights or bias are very large beside the range of its output: widen that range",
        )
    target = Target(function, v_scale, output, offset)
    domain = domain_of(target, low, high)
    return _table(domain, _pieces(target, domain, low, seen))


def _pieces(target: Target, domain: Domain, low: int, seen: Expected | None) -> list[Piece]:
    width = domain.high - domain.low
    if width < 1:
        return [Piece(domain.low, 0.0, domain.after)]
    shares = np.arange(SAMPLES + 1) / SAMPLES
    edges = domain.low + width * shares
    straight = straight_pieces(edges, target(edges), domain)
    if straight is not None:
        return straight
    spare = width / 16 if domain.open_below else 0.0  # a line may begin where no value is
    start = max(domain.low - spare, float(LOWEST))
    edges = start + (domain.high - start) * shares
    places = (edges[:-1] + edges[1:]) / 2
    weights = weights_of(edges, target.v_scale, seen) * (places >= low)
    return fitted_pieces(places, target.within(places), weights, domain)


def _table(domain: Domain, pieces: list[Piece]) -> Segments:
    rows = [(LOWEST, 0, 0, domain.before)]
    for piece in pieces:
        start = int(np.clip(piece.start, LOWEST, HIGHEST))
        row = (start, *fixed(piece.slope), piece.add)
        if start <= rows[-1][0]:
            rows[-1] = row
        else:
            rows.append(row)
    rows += rows[-1:] * (PIECES - len(rows))
    start_, multiplier, shift, add = zip(*rows, strict=True)
    return Segments(
        np.array(start_, np.int64),
        np.array(multiplier, np.int16),
        np.array(shift, np.uint8),
        np.array(add, np.uint8),
    )
