"""Cycles of single instructions, worked out by hand from docs/program-format.md."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from modelbuild.npu.program import Instruction
from modelbuild.npu.program import setups as s
from modelbuild.npu.program import tiles as t
from modelbuild.npu.program.transfers import (
    SHORT,
    Fill,
    Load,
    LoadConstants,
    Loop,
    Store,
)
from modelbuild.npu.simulator.accesses import access
from tests.npu.constant_loads import raw_constants
from tests.npu.simulator.hand_written import CONVOLUTION, RATES

# 4 channels to 4, 2 x 2 pixels
THREE = replace(
    CONVOLUTION,
    kernel_height=3,
    kernel_width=3,
    pad_left=1,
    input_width=2,
    output_width=2,
    group_inputs=4,
)
ONE = replace(THREE, kernel_height=1, kernel_width=1, pad_left=0)
SINGLE = replace(THREE, group_inputs=1)
WIDE_INPUT, WIDE_WEIGHTS = replace(THREE, input_type=3), replace(THREE, weight_type=3)
EIGHT = replace(THREE, group_inputs=8)
TILE = t.Convolution(0, 2, 0, 99, 50, 2, 0, 1, 4, 2, 2, 1)
DEPTHWISE = replace(TILE, groups=4, group_outputs=1)
GROUPS = replace(TILE, groups=2, group_outputs=3)


@pytest.mark.parametrize(
    ("setup", "tile", "rates", "cycles"),
    [
        (THREE, TILE, {}, 4 * 9 * 4 * 4),
        (THREE, TILE, {"macs": 1000}, 590),  # 589.8
        (THREE, TILE, {"macs_pointwise": 1, "macs_depthwise": 1}, 576),
        (THREE, TILE, {"columns": 4}, 2 * 4 * 9 * 16),
        (THREE, TILE, {"pixels": 16}, 16 * 9 * 16),
        (THREE, TILE, {"columns": 3, "pixels": 5}, 10 * 9 * 16),
        (THREE, TILE, {"input_channels": 8}, 576),  # few channels are not filled up beyond 4
        (THREE, TILE, {"input_channels": 3}, 4 * 9 * 6 * 4),
        (EIGHT, TILE, {"input_channels": 3}, 4 * 9 * 9 * 4),
        (EIGHT, TILE, {"input_channels": 16}, 4 * 9 * 16 * 4),
        (SINGLE, TILE, {"input_channels": 16}, 4 * 9 * 4 * 4),
        (THREE, TILE, {"input_channels": 16, "few_channels": 16}, 4 * 9 * 16 * 4),
        (THREE, TILE, {"input_channels": 16, "few_channels": 3}, 4 * 9 * 16 * 4),
        (EIGHT, TILE, {"input_channels": 16, "few_channels": 9}, 4 * 9 * 9 * 4),
        (THREE, TILE, {"output_channels": 16}, 4 * 9 * 4 * 16),
        (THREE, GROUPS, {"output_channels": 4}, 4 * 9 * 4 * 4 * 2),
        (THREE, TILE, {"window_rows": 2}, 4 * 12 * 16),
        (THREE, TILE, {"window_columns": 5}, 4 * 15 * 16),
        (THREE, TILE, {"outputs": 8}, 16 * 1024 // 8),
        (THREE, TILE, {"wide_macs": 1}, 576),
        (WIDE_INPUT, TILE, {"wide_macs": 512}, 1152),
        (WIDE_WEIGHTS, TILE, {"wide_macs": 256}, 2304),
        (WIDE_WEIGHTS, TILE, {"wide_macs": 1, "macs": 1000}, 576 * 1024),  # at least 1
        (ONE, TILE, {"macs": 1, "macs_pointwise": 2048}, 32),
        (ONE, TILE, {"window_rows": 3, "window_columns": 3}, 64),  # a 1x1 window is not filled up
        (replace(ONE, kernel_width=2), TILE, {"macs_pointwise": 1}, 128),
        (SINGLE, DEPTHWISE, {"macs": 1, "macs_depthwise": 512}, 4 * 9 * 4 * 2),
        (SINGLE, DEPTHWISE, {"output_channels": 16, "input_channels": 16}, 4 * 9 * 16),
        (SINGLE, replace(TILE, group_outputs=1), {"macs": 1}, 36),
        (SINGLE, TILE, {"macs_depthwise": 1}, 4 * 9 * 4),
        (replace(SINGLE, weight_type=3), DEPTHWISE, {"wide_macs": 512}, 288),
        (replace(THREE, input_step_height=2), TILE, {}, 576),
    ],
)
def test_convolutions(
    setup: s.ConvolutionSetup, tile: t.Convolution, rates: dict[str, int], cycles: int
) -> None:
    found = access(tile, setup, replace(RATES, **rates))
    assert (found.engine, found.cycles) == ("compute", cycles)


MATMUL = s.MatmulSetup(1, 1, 1, 5, 0, 0, 0, 0, 0)
BINARY = t.Binary(0, 3, 0, 99, 3, 0, 500, 200, 3, 0, 2, 3, 4)
LOOPS = (Loop(3, 9, 9), Loop(2, 5, 5))


@pytest.mark.parametrize(
    ("setup", "tile", "rates", "cycles"),
    [
        (MATMUL, t.Matmul(0, 0, 0, 0, 3, 4), {"macs": 1, "columns": 9, "pixels": 99}, 60),
        (MATMUL, t.Matmul(0, 0, 0, 0, 3, 4), {"outputs": 64}, 192),
        (replace(MATMUL, other_type=3), t.Matmul(0, 0, 0, 0, 3, 4), {"wide_macs": 512}, 120),
        (replace(MATMUL, input_type=2), t.Matmul(0, 0, 0, 0, 3, 4), {"wide_macs": 512}, 120),
        (
            s.MaxPoolSetup(1, 2, 2, 2, 2, 1, 1, 0, 6, 3, 0, 0),
            t.MaxPool(0, 4, 0, 99, 2, 0, 5, 4, 2, 0),
            {"elements": 512},
            5 * 24 * 2,
        ),
        (
            s.AveragePoolSetup(1, 1, 1, 3, 3, 1, 1, 2, 2, 4, 6, 1, 0, 0, 0, 0),
            t.AveragePool(0, 2, 0, 50, 99, 4, 0, 5, 2, 4, 2, 6),
            {},
            5 * 16,
        ),
        (s.BinarySetup(0, 1, 1, 1, 0, 0, 0, 0, 0, 0), BINARY, {}, 24 + 24),
        (s.BinarySetup(0, 1, 1, 1, 0b110_000, 0, 0, 0, 0, 0), BINARY, {}, 24 + 2),
        (s.BinarySetup(1, 1, 1, 1, 0b010_001, 0, 0, 0, 0, 0), BINARY, {"elements": 512}, 2 * 24),
        (s.ReduceMaxSetup(1, 7), t.ReduceMax(0, 0, 3), {}, 21),
        (s.TableSetup(1, 1, 0), t.Table(0, 9, 0, 99, 500, 3, 0, 2, 3, 4), {"elements": 512}, 48),
        (s.TableSetup(1, 1, 0, 1), t.Table(0, 9, 0, 99, 500, 3, 0, 2, 3, 4), {"elements": 512}, 0),
        (s.RescaleSetup(1, 1, 0, 0, 0, 0, 1), t.Rescale(0, 3, 0, 99, 500, 3, 0, 2, 3, 4), {}, 0),
        (None, Fill(0, 0, 0, 100), {"elements": 512}, 200),
        (None, Load(0, 0, 5, LOOPS), {"read_bytes": 512}, 60),
        (None, Load(0, 0, 5, LOOPS), {"row_alignment": 16}, 6 * 16),
        (None, Store(0, 0, 5, LOOPS), {"row_alignment": 4, "write_bytes": 512}, 6 * 8 * 2),
        (None, raw_constants(0, 0, 5, LOOPS), {"row_alignment": 16, "weight_bytes": 512}, 60),
        (None, LoadConstants(0, 0, 99, codec=SHORT, stored=7), {"weight_bytes": 512}, 14),
    ],
)
def test_everything_else(setup: Any, tile: Instruction, rates: dict[str, int], cycles: int) -> None:
    assert access(tile, setup, replace(RATES, **rates)).cycles == cycles
