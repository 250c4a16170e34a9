"""Layers that do not fit the RAM that the settings leave are told by `check`, with what would do."""

from __future__ import annotations

import numpy as np

from modelbuild.graph.check import place
from modelbuild.kpu.sram_check import check_sram
from tests.graph.tables import conv, recipe


def test_sram_bytes_that_are_too_few_are_told_with_what_would_do() -> None:
    graph, chip = conv(), recipe("k210")
    graph.dtypes = {name: np.dtype(np.float32) for name in ("x", "y")}
    units = place(graph, chip).units
    (found,) = check_sram(graph, units, chip, 64)
    assert (found.code, found.severity) == ("MB117", "error")
    assert "layer 'n/2' (of n)" in found.message and "`sram_bytes` leaves 64" in found.message
    needed = int(found.advice.split("`sram_bytes: ")[1].split("`")[0])
    assert "or remove it: the KPU has 2,097,152" in found.advice
    assert not check_sram(graph, units, chip, needed)
    assert check_sram(graph, units, chip, needed - 64)
