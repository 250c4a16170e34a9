"""The pool unit by hand."""

from __future__ import annotations

import numpy as np
import pytest

from modelbuild.formats.kmodel.kpu_registers import POOLS
from modelbuild.kpu.simulator.pooling import pool_sizes, pooled

NUMBERS = {name: number for number, name in POOLS.items()}
X = np.array([[[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12], [13, 14, 15, 17]]], np.uint8)


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("max_2_s2", [[6, 8], [14, 17]]),
        ("mean_2_s2", [[3, 5], [11, 13]]),  # 3.5, 5.5, 11.5 and 13.75, all rounded down
        ("max_4_s4", [[17]]),
        ("mean_4_s4", [[8]]),
        ("left_top_2_s2", [[1, 3], [9, 11]]),
        ("right_top_2_s2", [[2, 4], [10, 12]]),
        ("left_top_4_s4", [[1]]),
    ],
)
def test_pools(name: str, rows: list[list[int]]) -> None:
    assert pooled(X, NUMBERS[name]).tolist() == [rows]


def test_stride_one_looks_over_the_end() -> None:
    x = np.array([[[1, 2], [3, 8]]], np.uint8)
    assert pooled(x, NUMBERS["max_2_s1"]).tolist() == [[[8, 8], [8, 8]]]
    # The last row and column again: (2 + 2 + 8 + 8) / 4, (3 + 8 + 3 + 8) / 4, 8.
    assert pooled(x, NUMBERS["mean_2_s1"]).tolist() == [[[3, 5], [5, 8]]]


def test_what_fills_no_window_is_left_away() -> None:
    assert pool_sizes(NUMBERS["max_2_s2"], 5, 7) == (2, 3)
    assert pooled(X[:, :3, :3], NUMBERS["right_top_2_s2"]).tolist() == [[[2]]]
