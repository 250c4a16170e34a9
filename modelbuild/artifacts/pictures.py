"""A program for other numbers of pictures than its model, used for one sample: its pictures are repeated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelbuild.errors import EXIT_USER, ModelbuildError
from modelbuild.npu.batching import METADATA
from modelbuild.npu.program import ProgramInterface

Arrays = dict[str, NDArray[Any]]
DIGITS = 4


@dataclass(frozen=True)
class Pictures:
    """`own` is dimension 0 of the model that was compiled, `wide` that of its program."""

    own: int
    wide: int

    def shape(self, of_program: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of one sample's tensor."""
        return (self.own, *of_program[1:]) if of_program[:1] == (self.wide,) else of_program

    def runs(self, sample: Mapping[str, NDArray[Any]]) -> Iterator[Arrays]:
        """What the program takes, one run after another."""
        for start in range(0, self.own, self.wide):
            chosen = {name: values[start : start + self.wide] for name, values in sample.items()}
            yield {name: np.resize(v, (self.wide, *v.shape[1:])) for name, v in chosen.items()}

    def together(self, found: Sequence[Mapping[str, NDArray[Any]]]) -> Arrays:
        """What all runs made of the sample."""
        return {
            name: np.concatenate([one[name] for one in found])[: self.own]
            if values.shape[:1] == (self.wide,)
            else values
            for name, values in found[0].items()
        }


def pictures(described: ProgramInterface) -> Pictures | None:
    """Those of a program that was compiled for another number than its model's own; None of any other.

    Metadata that are not so are a ModelbuildError: a file's may be anything.
    """
    own = described.metadata.get(METADATA)
    if own is None:
        return None
    shape = described.inputs[0].shape if described.inputs else ()
    if not (own.isascii() and own.isdigit() and 1 <= len(own) <= DIGITS and int(own) and shape):
        raise ModelbuildError(
            f"the program's {METADATA!r} is {own[:20]!r}",
            where=described.name,
            why=f"it is the number of pictures of its model, of at most {DIGITS} digits, along dimension 0",
            exit_code=EXIT_USER,
        )
    return Pictures(int(own), shape[0])
