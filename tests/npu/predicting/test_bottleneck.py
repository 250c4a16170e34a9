"""What bounds a layer."""

from __future__ import annotations

import pytest

from modelbuild.npu.predicting.bottleneck import Busy, together


@pytest.mark.parametrize(
    ("busy", "apart", "at_once"),
    [
        (Busy(5, 3, 3, 1, 1), "dma", "compute"),
        (Busy(7, 3, 3, 1, 1), "compute", "compute"),
        (Busy(1, 2, 2, 5, 1), "weights", "weights"),
        (Busy(1, 2, 2, 1, 9), "overhead", "overhead"),
        (Busy(), "compute", "compute"),
    ],
)
def test_reading_and_writing_add_up_where_engines_take_turns(busy: Busy, apart: str, at_once: str) -> None:
    assert busy.bound(1) == apart and busy.bound(4) == at_once


def test_together() -> None:
    assert together([Busy(1, 2, 3, 4, 5), Busy(10, 20, 30, 40, 50)]) == Busy(11, 22, 33, 44, 55)
    assert together([]) == Busy() and Busy(1, 2, 3, 4, 5).total == 15
