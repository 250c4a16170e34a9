"""The table of activation tables: the other compiler's fit as its source has it, and a row that is ours."""

from __future__ import annotations

import numpy as np

from bench.k210_segments import FUNCTIONS, compared, greedy, quantized


def test_greedy_pieces_of_a_line_are_the_line() -> None:
    x = y = quantized(-5.0, 7.0)
    made = greedy(lambda x: x, x, x.scale / 2**20, y)
    assert (np.diff(made.start) > 0).all()
    values = np.arange(3, 250, dtype=np.int64) * (1 << 20) - x.zero_point * (1 << 20)
    assert np.abs(made.codes(values).astype(int) - np.arange(3, 250)).max() <= 1
    assert made.codes(np.array([-(1 << 34)])) == [0]  # below what was seen


def test_ours_is_better() -> None:
    for name in ("sigmoid", "leaky 0.1"):
        ours, theirs, seconds = compared(name)
        assert name in FUNCTIONS
        assert ours.square < theirs.square / 5
        assert ours.worst <= theirs.worst
        assert seconds > 0
