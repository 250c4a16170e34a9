"""What must be moved at the least, and when SRAM is known to allow it."""

from __future__ import annotations

from bench.least_traffic import certificate, unavoidable
from modelbuild.npu.planning.cutting import Limits
from modelbuild.npu.planning.grouping import bundles
from modelbuild.npu.planning.views import share
from tests.npu.small_models import Maker


def test_a_certificate_and_a_bound() -> None:
    maker = Maker(x=(1, 4, 32, 16))
    maker.conv("a", "x", 32, 3, 1, 1)
    maker.conv("b", "a", 32, 3, 1, 1)
    maker.conv("y", "b", 2, 3, 1, 1)
    model = maker.model("y")
    groups = bundles(model, share(model))
    found = [
        (certificate(model, groups, limits), unavoidable(model, groups, limits))
        for limits in (Limits(1 << 16, tile_bytes=1024), Limits(22_000, tile_bytes=1024), Limits(8_000))
    ]
    assert found == [("maps", 0), ("rows", 0), ("", 32 * (32 * 9 + 9) - 8_000)]
