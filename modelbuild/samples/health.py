"""What is wrong with a set of samples, as far as the tensors themselves tell: copies, noise, layout, values.

Samples are looked at one by one; of each a digest and a picture of up to 4 x 16 x 16 cells is kept, of up
to 1024.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.generic]
Real = NDArray[np.float64]
Shape = tuple[int, ...]
CELLS = 16  # a side of the small pictures that are compared
PLANES = 4  # of small pictures; more channels are averaged, neighbours together
KEPT = 1024  # small pictures; of more samples the first are compared with each other
PLANES = 4  # of a small picture; the means of more channels, as of features, in so many groups
SMALLEST = 16  # height and width from which on neighbours tell anything
CHANNELS = (1, 3, 4)
# Of 900 photographs, digits and crops at 28 to 224 pixels: neighbouring values have a correlation of 0.69 or
# more along one axis (noise: up to 0.05), cells of 16 x 16 of 0.5 or more, but for one in twenty (noise, also
# enlarged: up to 0.25), and the nearest of two are 0.10 apart (the same picture with noise, brighter, moved
# by 2 %: 0.0002 to 0.03).
NOISE, NOISE_OF_CELLS, NEAR = 0.25, 0.3, 0.02


@dataclass(frozen=True)
class Copies:
    """A sample that is, or nearly is, an earlier one; counted from 0."""

    sample: int
    earlier: int


@dataclass
class Look:
    """Statistics of one input over the samples."""

    shape: Shape
    low: float = np.inf
    high: float = -np.inf
    noisy: list[int] = field(default_factory=list)  # samples whose neighbouring values have nothing in common
    noisy_cells: list[int] = field(default_factory=list)  # whose parts have nothing in common
    interleaved: list[float] = field(default_factory=list)  # how much more alike every third value is
    small: list[NDArray[np.float32]] = field(default_factory=list)

    def add(self, number: int, values: Array) -> None:
        """The tensor of sample `number`, of `shape`."""
        real = values.astype(np.float64)
        self.low = min(self.low, float(real.min(initial=np.inf)))
        self.high = max(self.high, float(real.max(initial=-np.inf)))
        planes = pictures(real)
        if planes is None:
            return
        across = [_alike(planes, axis) for axis in (1, 2)]
        if max(across) < NOISE:
            self.noisy.append(number)
        cells = _cells(planes) if len(planes) <= PLANES else _cells(_grouped(planes))
        if cells.shape[1:] == (CELLS, CELLS) and max(_alike(cells, axis) for axis in (1, 2)) < NOISE_OF_CELLS:
            self.noisy_cells.append(number)
        if len(planes) == 3 and planes.shape[2] >= 2 * SMALLEST:
            third = _alike(planes, 2, 3)
            self.interleaved.append(third - across[1] if third >= NOISE else 0.0)  # noise has no layout
        if len(self.small) < KEPT:
            few = _parts(cells, 0, PLANES)
            self.small.append((few - few.mean()).astype(np.float32).reshape(-1))

    def near_copies(self) -> list[Copies]:
        """Samples that an earlier one nearly is: their distance is small beside their own contrast."""
        found: list[Copies] = []
        if len(self.small) < 2:
            return found
        rows = np.array(self.small, np.float64)
        power = np.square(rows).sum(axis=1)
        for number in range(1, len(rows)):
            both = power[:number] + power[number]
            near = np.flatnonzero(both - 2.0 * (rows[:number] @ rows[number]) <= NEAR * both)
            if len(near):
                found.append(Copies(number, int(near[0])))
        return found


class SetLook:
    """Looks at a set of samples for a model of some inputs."""

    def __init__(self, shapes: dict[str, Shape]) -> None:
        self.count = 0
        self.inputs = {name: Look(shape) for name, shape in shapes.items()}
        self.copies: list[Copies] = []
        self._seen: dict[bytes, int] = {}

    def add(self, sample: dict[str, Array]) -> None:
        """One more sample: the tensor of each input."""
        digest = hashlib.sha256()
        for name, look in self.inputs.items():
            values = np.ascontiguousarray(sample[name])
            digest.update(values.tobytes())
            look.add(self.count, values)
        earlier = self._seen.setdefault(digest.digest(), self.count)
        if earlier != self.count:
            self.copies.append(Copies(self.count, earlier))
        self.count += 1

    def near_copies(self) -> list[Copies]:
        """Samples of which every input that is a picture nearly is that of one earlier sample."""
        of_inputs = [look.near_copies() for look in self.inputs.values() if look.small]
        if not of_inputs:
            return []
        common = set.intersection(*({copy.sample for copy in found} for found in of_inputs))
        return [copy for copy in of_inputs[0] if copy.sample in common]


def channels_last(shape: Shape) -> bool:
    """Whether a tensor of four axes has its channels behind, as far as its shape tells."""
    return shape[-1] in CHANNELS and shape[1] not in CHANNELS


def pictures(values: Real) -> Real | None:
    """[C, H, W] of a tensor that can be a picture, else None."""
    if values.ndim != 4 or values.shape[0] != 1:
        return None
    planes = values[0].transpose(2, 0, 1) if channels_last(values.shape) else values[0]
    return planes if min(planes.shape[1:]) >= SMALLEST else None


def _alike(planes: Real, axis: int, steps: int = 1) -> float:
    """The correlation of values that lie so many steps apart; 1 where all are equal."""
    count = planes.shape[axis]
    one, other = (
        np.take(planes, range(*ends), axis).reshape(-1) for ends in ((0, count - steps), (steps, count))
    )
    one, other = one - one.mean(), other - other.mean()
    scale = float(np.sqrt((one @ one) * (other @ other)))
    return float(one @ other) / scale if scale > 0.0 else 1.0


def _cells(planes: Real) -> Real:
    """The means of up to CELLS x CELLS equal parts of each plane."""
    return _parts(_parts(planes, 1, CELLS), 2, CELLS)


def _parts(planes: Real, axis: int, most: int) -> Real:
    """The means of up to `most` equal parts along an axis."""
    parts = min(most, planes.shape[axis])
    starts = np.arange(parts) * planes.shape[axis] // parts
    sizes = np.diff(np.append(starts, planes.shape[axis]))
    summed = np.add.reduceat(planes, starts, axis=axis)
    return np.asarray(summed / sizes.reshape([-1 if one == axis else 1 for one in range(3)]))


def _grouped(planes: Real) -> Real:
    """[PLANES, H, W]: the means of neighbouring channels."""
    starts = np.arange(PLANES) * len(planes) // PLANES
    sizes = np.diff(np.append(starts, len(planes)))
    return np.add.reduceat(planes, starts, axis=0) / sizes[:, None, None]


def is_interleaved(looks: Sequence[Look]) -> bool:
    """Whether colours lie side by side in rows, as in a picture [H, W, C] that is read as [C, H, W]: then
    every third value is the nearest, which it is in no picture."""
    return any(look.interleaved and float(np.median(look.interleaved)) > 0.0 for look in looks)
