"""Matrix products at the borders of what float32 holds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelbuild.arithmetic.products import SINGLE, ExactProduct, exact_matmul, exact_spans, exact_type
from tests.hypotheses import examples

LARGEST = 255


def rows_that_reach(reach: int, depth: int) -> np.ndarray:
    """Two rows of weights; Σ|w| of the second is `reach`, as evenly as can be."""
    second = np.full(depth, reach // depth)
    second[: reach % depth] += 1
    second[::3] *= -1
    return np.stack([np.ones(depth, int), second])[None].astype(np.int16)


@pytest.mark.parametrize(
    ("reach", "spans"),
    [
        ((SINGLE - 1) // LARGEST, 1),  # 255·65793 = 2^24 - 1
        ((SINGLE - 1) // LARGEST + 1, 2),
        (4 * SINGLE // LARGEST, 5),
    ],
)
def test_spans_end_before_a_row_can_reach_2_to_24(reach: int, spans: int) -> None:
    weight = rows_that_reach(reach, 600)
    found = exact_spans(weight, LARGEST)
    assert len(found) == spans
    assert [start for start, _ in found] == [0, *(end for _, end in found[:-1])] and found[-1][1] == 600
    sums = [np.abs(weight[0, :, start:end].astype(int)).sum(axis=1).max() * LARGEST for start, end in found]
    assert max(sums) < SINGLE
    assert exact_type(weight[0], LARGEST) is (np.float32 if spans == 1 else np.float64)


def test_short_spans_give_way_to_float64() -> None:
    assert exact_spans(np.full((1, 1, 500), 2**14, np.int16), LARGEST) == ()
    assert ExactProduct(np.full((1, 1, 500), 2**14, np.int16), LARGEST).weight.dtype == np.float64
    assert exact_spans(np.full((1, 1, 4), 2**14, np.int16), LARGEST) == ((0, 4),)


@examples(60)
@given(
    reach=st.integers(SINGLE // LARGEST - 3, SINGLE // LARGEST + 3) | st.integers(1, 2**21),
    depth=st.integers(1, 300),
    seed=st.integers(0, 2**32 - 1),
)
def test_products_are_exact_at_the_extremes(reach: int, depth: int, seed: int) -> None:
    weight = rows_that_reach(min(reach, 32767 * depth), depth)
    columns = np.stack(
        [
            np.full(depth, LARGEST),
            np.where(weight[0, 1] < 0, -LARGEST, LARGEST),
            np.where(np.arange(depth) < depth - 1, LARGEST, LARGEST - 1),
            np.random.default_rng(seed).integers(-LARGEST, LARGEST + 1, depth),
        ],
        axis=1,
    )
    product = ExactProduct(weight, LARGEST)
    found = product(columns[None].astype(product.dtype))
    assert found[0].astype(object).tolist() == (weight[0].astype(object) @ columns.astype(object)).tolist()


@pytest.mark.parametrize("depth", [257, 259, 2000])
def test_activations_times_activations(depth: int) -> None:
    a, b = np.full((1, depth), -128, np.int8), np.full((depth, 1), -128, np.int8)
    assert exact_matmul(a, b, (127, 127), 255 * 255).tolist() == [[depth * 255 * 255]]
