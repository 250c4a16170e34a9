"""What counts as one number a channel."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from modelbuild.graph.passes.affine import per_channel


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((), [2, 2]),
        ((1,), [2, 2]),
        ((2, 1, 1), [2, 2]),
        ((1, 2, 1, 1), [2, 2]),
        ((2,), None),
        ((4, 1), None),
        ((2, 2, 1, 1), None),
    ],
)
def test_shapes_that_broadcast_a_channel(shape: tuple[int, ...], expected: Any) -> None:
    found = per_channel(np.full(shape, 2, np.float32), 4, 2)
    assert found is None if expected is None else found is not None and found.tolist() == expected


def test_integers_are_not_scales() -> None:
    assert per_channel(np.ones((), np.int64), 4, 2) is None
