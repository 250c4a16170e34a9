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
    assert "`sram_bytes` leaves 64 bytes" in found.message and "'n'" in found.message
    assert found.advice == "write a larger `sram_bytes`, or remove it: the KPU has 2,097,152"


def test_layers_that_can_be_divided_are_no_finding() -> None:
    graph, chip = conv(out=64), recipe("k210")
    graph.dtypes = {name: np.dtype(np.float32) for name in ("x", "y")}
    units = place(graph, chip).units
    whole = 2 * 64 * 64 * 64  # bytes of rows of the output, were it as wide as the input
    assert not check_sram(graph, units, chip, whole)
    assert not check_sram(graph, units, chip, whole // 2)
    assert not check_sram(graph, units, chip, 64 * 64)  # in strips
    assert check_sram(graph, units, chip, 8 * 64)
