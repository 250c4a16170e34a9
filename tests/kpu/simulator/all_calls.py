"""Every tensor function, in groups."""

from __future__ import annotations

import numpy as np

from tests.kpu.simulator import calls_moves, calls_numbers
from tests.kpu.simulator.calls import Case

GROUPS = {
    make.__name__: make
    for make in (
        calls_moves.moves,
        calls_moves.borders,
        calls_moves.picks,
        calls_numbers.elements,
        calls_numbers.types,
        calls_numbers.short,
        calls_numbers.sums,
        calls_numbers.choices,
        calls_numbers.windows,
        calls_numbers.images,
        calls_numbers.others,
    )
}


def cases(group: str, seed: int = 0) -> list[Case]:
    """The calls of a group on values of a seed."""
    return list(GROUPS[group](np.random.default_rng(seed)))
