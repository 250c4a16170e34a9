"""SNR, cosine, largest difference and top-k on numbers worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from modelbuild.errors import ModelbuildError
from modelbuild.quantize.accuracy import of_classes
from modelbuild.quantize.measure import Difference, TopK, snr_db, top_k
from modelbuild.quantize.verify import check_labels


def test_difference_over_two_samples() -> None:
    difference = Difference()
    difference.add(np.array([3.0, 4.0]), np.array([3.0, 5.0]))
    difference.add(np.array([0.0, 10.0]), np.array([0.0, 10.1]))
    assert difference.samples == 2
    assert difference.snr_db == pytest.approx(10 * math.log10(125 / 1.01))
    assert difference.snr_db_mean == pytest.approx((10 * math.log10(25) + 40) / 2)
    assert difference.largest == pytest.approx(1.0)
    assert difference.cosine == pytest.approx((9 + 20 + 101) / math.sqrt(125 * (9 + 25 + 10.1**2)))
    assert set(difference.to_json()) == {"snr_db", "snr_db_mean", "cosine", "max_abs"}


def test_of_whole_numbers_the_share_that_is_equal_is_told() -> None:
    difference = Difference()
    difference.add(np.array([3, 4, 5, 6]), np.array([3.0, 4.0, 7.0, 6.0], np.float32))
    assert difference.to_json()["equal"] == 0.75


def test_an_output_of_classes_is_held_against_labels() -> None:
    measure = of_classes("y", [3, 1], whole=True)
    measure.add({"y": np.array([[3.0]], np.float32)}, {})
    measure.add({"y": np.array([[2.0]], np.float32)}, {})
    assert measure.values() == {"top1": 0.5}
    five = of_classes("y", [3], whole=True)
    five.add({"y": np.array([1, 0, 2, 4, 3], np.float32)}, {})
    assert five.values() == {"top1": 0, "top5": 1}
    check_labels([99], "y", (1, 5), whole=True)
    with pytest.raises(ModelbuildError, match="tells 6"):
        check_labels([0], "y", (1, 2, 3), whole=True)


def test_sums_are_added_in_an_order_of_their_own() -> None:
    """Not in that of a BLAS, which hangs on threads and processor."""
    x, y = np.random.default_rng(5).standard_normal((2, 100_003))
    difference = Difference()
    difference.add(x, y)
    products = (x * x, (y - x) * (y - x), y * y, x * y)
    found = (difference.signal, difference.noise, difference.other, difference.product)
    assert found == tuple(float(np.add.reduce(each)) for each in products)


def test_ends_of_the_scale() -> None:
    assert snr_db(1.0, 0.0) == 200.0
    assert snr_db(0.0, 1.0) == -200.0
    same = Difference()
    same.add(np.zeros(3), np.zeros(3))
    assert (same.snr_db, same.cosine, same.largest) == (200.0, 1.0, 0.0)


def test_top_k_breaks_ties_by_index() -> None:
    assert top_k(np.array([[1, 7, 7, 3]]), 3) == [1, 2, 3]


def test_accuracy() -> None:
    counted = TopK()
    counted.add(np.array([0.1, 0.9, 0.3]), 1)
    counted.add(np.array([0.1, 0.9, 0.3]), 0)
    counted.add(np.array([1, 2, 3, 4, 5, 6, 7]), 0)
    assert counted.labelled == 3
    assert counted.to_json() == {"top1": pytest.approx(1 / 3), "top5": pytest.approx(2 / 3)}
