"""Layers that do not fit the RAM that the settings leave are told by `check`, with what would do."""

from __future__ import annotations

import re

import numpy as np

from modelbuild.graph.check import place
from modelbuild.kpu.sram_check import check_sram
from tests.graph.tables import conv, recipe
from tests.kpu.lowering import made


def test_sram_bytes_that_are_too_few_are_told_with_what_would_do() -> None:
    graph, chip = conv(), recipe("k210")
    graph.dtypes = {name: np.dtype(np.float32) for name in ("x", "y")}
    units = place(graph, chip).units
    (found,) = check_sram(graph, units, chip, 64)
    assert (found.code, found.severity) == ("MB117", "error")
    assert "`sram_bytes` leaves 64 bytes" in found.message and "'n'" in found.message
    said = re.fullmatch(
        r"write `sram_bytes: (\d+)`, which is enough, or remove it: .* 2,097,152", found.advice
    )
    assert said and check_sram(graph, units, chip, int(said[1]) // 2)
    assert not check_sram(graph, units, chip, int(said[1]))


def test_the_layer_is_named() -> None:
    """Of two, the one that does not fit."""
    nodes = [made.conv("x", "a", "w", 1), made.conv("a", "y", "v")]
    shapes = {"w": (64, 4, 1, 1), "v": (4, 64, 3, 3)}
    graph, chip = made.network(nodes, (1, 4, 32, 32), made.weights(**shapes)), recipe("k210")
    units = place(graph, chip).units
    findings = check_sram(graph, units, chip, 4096)
    assert [found.node for found in findings] == ["conv_y"]
    assert "RAM: Conv `conv_y`: its input [1, 64, 32, 32]" in findings[0].message


def test_layers_that_can_be_divided_are_no_finding() -> None:
    graph, chip = conv(out=64), recipe("k210")
    graph.dtypes = {name: np.dtype(np.float32) for name in ("x", "y")}
    units = place(graph, chip).units
    whole = 2 * 64 * 64 * 64  # bytes of rows of the output, were it as wide as the input
    assert not check_sram(graph, units, chip, whole)
    assert not check_sram(graph, units, chip, whole // 2)
    assert not check_sram(graph, units, chip, 64 * 64)  # in strips
    assert check_sram(graph, units, chip, 8 * 64)
