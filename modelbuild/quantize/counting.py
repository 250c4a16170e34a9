"""Where the values of a tensor are counted: bins of its range or of its channels' ranges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelbuild.quantize.looking import places_in

Places = NDArray[np.signedinteger[Any]]
_LARGEST = float(np.finfo(np.float64).max)


@dataclass(frozen=True)
class Channels:
    """The channel (axis 1; one for tensors of fewer axes) of each value that is looked at."""

    count: int
    of: NDArray[np.int64]
    _starts: NDArray[np.int64]  # of runs of one channel

    @classmethod
    def of_shape(cls, shape: Sequence[int]) -> Channels:
        """Of a tensor of `shape`."""
        of = places_in(tuple(shape)).channels(tuple(shape))
        return cls(shape[1] if len(shape) > 1 else 1, of, np.flatnonzero(np.diff(of, prepend=-1)))

    def totals(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """By channel, the sum of numbers that belong to the values."""
        runs = np.add.reduceat(values.astype(np.float64, copy=False), self._starts)
        found = np.bincount(self.of[self._starts], runs, self.count)
        return found.astype(np.float64, copy=False)

    def sizes(self) -> NDArray[np.float64]:
        """By channel, how many values there are."""
        return self.totals(np.ones(len(self.of)))


@dataclass(frozen=True)
class Bins:
    """`each` equal bins between the ends of a tensor, or of each channel: `cells` in all. Behind them is the
    place of zeros. `low` and `factor`, [1] or [channels], are in the precision that values are scaled in."""

    each: int
    cells: int
    low: NDArray[Any]
    factor: NDArray[Any]
    _first: Places  # of a channel's bins
    _beyond: Places  # from the bin that holds 0 to the place of zeros

    @classmethod
    def between(cls, low: NDArray[Any], high: NDArray[Any], each: int, dtype: Any) -> Bins:
        """For values of `dtype`, scaled in its own precision where the numbers reach."""
        with np.errstate(over="ignore", divide="ignore"):
            width = np.minimum(np.subtract(high, low, dtype=np.float64), _LARGEST)
            factor = np.where(width > 0, np.minimum(each / width, _LARGEST), 0.0)
        working = np.promote_types(dtype, np.float32)
        largest = max(float(width.max()), float(factor.max()))
        if largest > float(np.finfo(working).max):  # enormous ranges, or denormal ones
            working = np.dtype(np.float64)
        cells = each * len(width)
        integer: type[np.signedinteger[Any]] = np.int32 if cells < 2**31 else np.int64
        first = np.arange(0, cells, each).astype(integer)
        empty = cls(each, cells, low.astype(working), factor.astype(working), first, first)
        zeros = empty._whole(empty.scaled(np.zeros(len(width), dtype))) + first
        return cls(each, cells, empty.low, empty.factor, first, (cells - zeros).astype(integer))

    def scaled(self, values: NDArray[Any], channel_of: NDArray[np.int64] | None = None) -> NDArray[Any]:
        """How many bins lie between the low end and each value, [..., values]."""
        found = values - _at(self.low, channel_of)
        found *= _at(self.factor, channel_of)
        return np.asarray(found)

    def places(
        self, scaled: NDArray[Any], zeros: NDArray[np.bool_], channel_of: NDArray[np.int64] | None = None
    ) -> Places:
        """The place of each value; what lies beyond an end has that end's bin."""
        found = self._whole(scaled)
        if channel_of is not None:
            found += self._first[channel_of]
        away = zeros.astype(found.dtype)  # a product takes a tenth of the time of an assignment by a mask
        away *= _at(self._beyond, channel_of)
        found += away
        return found

    def counted(self, places: Places) -> NDArray[np.int64]:
        """How many values have each place, [cells + 1]."""
        return np.bincount(places.reshape(-1), minlength=self.cells + 1)

    def weighed(self, places: Places, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """The sum of the weights at each place, [cells + 1]."""
        found = np.bincount(places.reshape(-1), weights.reshape(-1), self.cells + 1)
        return found.astype(np.float64, copy=False)

    def _whole(self, scaled: NDArray[Any]) -> Places:
        return np.asarray(np.clip(scaled, 0, self.each - 1).astype(self._first.dtype))


def _at(of_channels: NDArray[Any], channel_of: NDArray[np.int64] | None) -> NDArray[Any]:
    return of_channels if channel_of is None else of_channels[channel_of]
