"""Sums whose order is fixed: no pairs, no vectors, no layout."""

from __future__ import annotations

import numpy as np

from modelbuild.quantize.in_order import mean_in_order, sum_in_order

VALUES = np.random.default_rng(5).normal(size=(3, 5, 1000)) * 10.0 ** np.arange(-8, 7)[:, None].reshape(
    3, 5, 1
)


def one_by_one(values: np.ndarray) -> float:
    total = 0.0
    for value in values.tolist():
        total += value
    return total


def test_a_sum_is_taken_from_the_first_to_the_last() -> None:
    found = sum_in_order(VALUES)
    assert found.tolist() == [[one_by_one(row) for row in rows] for rows in VALUES]
    assert (found != VALUES.sum(axis=2)).any()  # numpy adds in pairs
    np.testing.assert_array_equal(sum_in_order(np.asfortranarray(VALUES)), found)
    assert sum_in_order(np.zeros((2, 0))).tolist() == [0.0, 0.0]


def test_so_is_a_mean() -> None:
    column = VALUES.reshape(-1, 1)
    assert mean_in_order(column)[0] == one_by_one(column[:, 0]) / len(column)
    np.testing.assert_array_equal(mean_in_order(np.asfortranarray(VALUES)), mean_in_order(VALUES))
