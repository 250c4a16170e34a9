"""Samples -> runs of a program that takes other numbers of pictures than the fixed-point model, and back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Arrays = Mapping[str, Array]


@dataclass(frozen=True)
class Sample:
    """The chip's inputs as integers, all inputs as they were read, and what the fixed-point model makes of
    them: every tensor."""

    integers: Arrays
    real: Arrays
    expected: Arrays


@dataclass(frozen=True)
class Row:
    """One index along dimension 0 of the sample of a number."""

    number: int
    sample: Sample
    index: int

    def of(self, values: Array) -> Array:
        """The row of a tensor of the sample."""
        return values[self.index : self.index + 1]


@dataclass(frozen=True)
class Run:
    """The rows that a program takes at once: `wide` of them, the last repeated where there are too few. Where
    program and model take as many, a run is a whole sample, and `wide` is None."""

    rows: tuple[Row, ...]
    wide: int | None

    def inputs(self) -> dict[str, Array]:
        """What the program is given."""
        first = self.rows[0].sample.integers
        if self.wide is None:
            return dict(first)
        padded = [*self.rows, *[self.rows[-1]] * (self.wide - len(self.rows))]
        return {name: np.concatenate([row.of(row.sample.integers[name]) for row in padded]) for name in first}

    def own(self, found: Arrays) -> dict[str, Array]:
        """What the program left, without what repeated rows made."""
        if self.wide is None:
            return dict(found)
        count = len(self.rows)
        return {name: v[:count] if self._varies(name, v) else v for name, v in found.items()}

    def expected(self, found: Arrays) -> dict[str, Array]:
        """The same of the fixed-point model."""
        first = self.rows[0].sample.expected
        if self.wide is None:
            return dict(first)
        return {
            name: np.concatenate([row.of(row.sample.expected[name]) for row in self.rows])
            if self._varies(name, values)
            else first[name]
            for name, values in found.items()
        }

    def place(self, element: tuple[int, ...]) -> tuple[int, tuple[int, ...]]:
        """The number of the sample that an element of a tensor is of, and where it is there."""
        if self.wide is None or not element:
            return self.rows[0].number, element
        row = self.rows[element[0]]
        return row.number, (row.index, *element[1:])

    def _varies(self, name: str, values: Array) -> bool:
        return values.shape != self.rows[0].sample.expected[name].shape


def runs(samples: Iterator[Sample], own: int, wide: int, most: int | None = None) -> Iterator[Run]:
    """The runs that take all samples, at most `most`. `own` is dimension 0 of the model, `wide` that of the
    program."""
    if own == wide:
        for number, sample in enumerate(samples):
            yield Run((Row(number, sample, 0),), None)
        return
    waiting: list[Row] = []
    made = 0
    for number, sample in enumerate(samples):
        waiting += [Row(number, sample, index) for index in range(own)]
        while len(waiting) >= wide:
            yield Run(tuple(waiting[:wide]), wide)
            made, waiting = made + 1, waiting[wide:]
            if made == most:
                return
    if waiting:
        yield Run(tuple(waiting), wide)


class Regrouped:
    """Outputs of runs -> those of whole samples, which have `own` rows."""

    def __init__(self, own: int) -> None:
        self._own = own
        self._rows: list[dict[str, Array]] = []

    def add(self, run: Run, found: Arrays) -> Iterator[tuple[Sample, dict[str, Array]]]:
        """The samples that are complete with this run's outputs."""
        if run.wide is None:
            yield run.rows[0].sample, dict(found)
            return
        for position, row in enumerate(run.rows):
            self._rows.append({name: values[position : position + 1] for name, values in found.items()})
            if row.index == self._own - 1:
                rows, self._rows = self._rows, []
                yield row.sample, {name: np.concatenate([one[name] for one in rows]) for name in found}
