"""Cycles against a slow count of what the array does, block by block."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelbuild.npu.emitting import work
from modelbuild.npu.emitting.work import ConvolutionTile
from modelbuild.npu.program import Rates
from modelbuild.npu.rates import rates
from tests.npu.test_rates import hardware

PLAIN = rates(
    hardware(
        macs_per_cycle=100,
        macs_per_cycle_pointwise=50,
        macs_per_cycle_depthwise=10,
        outputs_per_cycle=1000,
        elementwise_per_cycle=4,
        columns_at_once=1,
        pixels_at_once=1,
        input_channels_at_once=1,
        few_channels_at_once=4,
        output_channels_at_once=1,
        window_rows_at_once=1,
        window_columns_at_once=1,
        row_alignment_bytes=1,
        clock_hz=1000,
    )
)
TILE = ConvolutionTile(3, 3, groups=1, group_inputs=8, group_outputs=16, rows=5, columns=10)


@pytest.mark.parametrize(
    ("tile", "chip", "expected"),
    [
        (TILE, PLAIN, 3 * 3 * 8 * 16 * 50 // 100),
        (replace(TILE, kernel_height=1, kernel_width=1), PLAIN, 8 * 16 * 50 // 50),
        (replace(TILE, groups=8, group_inputs=1, group_outputs=1), PLAIN, 9 * 8 * 50 // 10),
        (replace(TILE, group_inputs=1, group_outputs=1), PLAIN, 9 * 50 // 10),
        (replace(TILE, group_inputs=1), PLAIN, 9 * 16 * 50 // 100),  # one map to many is not depthwise
        (replace(TILE, groups=2, group_inputs=4), PLAIN, 9 * 4 * 16 * 2 * 50 // 100),
        (TILE, replace(PLAIN, columns=16), 9 * 8 * 16 * 80 // 100 + 1),
        (TILE, replace(PLAIN, pixels=64), 9 * 8 * 16 * 64 // 100 + 1),
        (TILE, replace(PLAIN, columns=16, pixels=64), 9 * 8 * 16 * 128 // 100 + 1),
        (TILE, replace(PLAIN, window_rows=2, window_columns=3), 12 * 8 * 16 * 50 // 100),
        (TILE, replace(PLAIN, input_channels=16), 9 * 16 * 16 * 50 // 100),
        (replace(TILE, group_inputs=3), replace(PLAIN, input_channels=16), 9 * 4 * 16 * 50 // 100),
        (replace(TILE, group_inputs=3), replace(PLAIN, input_channels=2), 9 * 4 * 16 * 50 // 100),
        (
            replace(TILE, group_inputs=3),
            replace(PLAIN, input_channels=16, few_channels=16),
            9 * 16 * 16 * 50 // 100,
        ),
        (
            replace(TILE, group_inputs=3),
            replace(PLAIN, input_channels=16, few_channels=2),
            9 * 16 * 16 * 50 // 100,
        ),
        (TILE, replace(PLAIN, input_channels=16, few_channels=9), 9 * 9 * 16 * 50 // 100),
        (TILE, replace(PLAIN, output_channels=32), 9 * 8 * 32 * 50 // 100),
        (TILE, replace(PLAIN, outputs=1024), 16 * 50),
        (replace(TILE, wide=True), replace(PLAIN, wide_macs=512), 9 * 8 * 16 * 50 // 50),
    ],
)
def test_convolutions_by_hand(tile: ConvolutionTile, chip: Rates, expected: int) -> None:
    assert work.convolution_cycles(tile, chip) == expected


def lanes(count: int, at_once: int) -> int:
    """Lanes that blocks of `at_once` occupy, the last of them partly empty."""
    return sum(at_once for _ in range(0, count, at_once))


def slow_work(tile: ConvolutionTile, chip: Rates) -> int:
    """Block by block: pixels in the order of rows, whole blocks of the window, groups one after the other."""
    cells = [(row, block) for row in range(tile.rows) for block in range(lanes(tile.columns, chip.columns))]
    pixels = lanes(len(cells), chip.pixels)
    one_cell = tile.kernel_height == 1 and tile.kernel_width == 1
    rows = 1 if one_cell else lanes(tile.kernel_height, chip.window_rows)
    columns = 1 if one_cell else lanes(tile.kernel_width, chip.window_columns)
    if tile.kind == "depthwise":
        channels = lanes(
            len([1 for _ in range(tile.groups) for _ in range(tile.group_outputs)]), chip.output_channels
        )
    else:
        is_few = tile.group_inputs <= chip.few_channels
        few = min(chip.few_channels, chip.input_channels) if is_few else chip.input_channels
        channels = sum(
            lanes(tile.group_inputs, few) * lanes(tile.group_outputs, chip.output_channels)
            for _ in range(tile.groups)
        )
    return pixels * rows * columns * channels


EXTENT = st.integers(1, 40)
TILES = st.builds(
    ConvolutionTile,
    st.integers(1, 7),
    st.integers(1, 7),
    groups=st.integers(1, 9),
    group_inputs=EXTENT,
    group_outputs=EXTENT,
    rows=EXTENT,
    columns=EXTENT,
    wide=st.booleans(),
)
AT_ONCE = st.integers(1, 20)
CHIPS = st.builds(
    replace,
    st.just(PLAIN),
    macs=st.integers(1, 1 << 20),
    macs_pointwise=st.integers(1, 1 << 20),
    macs_depthwise=st.integers(1, 1 << 20),
    outputs=st.integers(1, 1 << 16),
    elements=st.integers(1, 1 << 16),
    wide_macs=st.integers(1, 1024),
    columns=AT_ONCE,
    pixels=AT_ONCE,
    input_channels=AT_ONCE,
    few_channels=AT_ONCE,
    output_channels=AT_ONCE,
    window_rows=st.integers(1, 4),
    window_columns=st.integers(1, 4),
    row_alignment=st.sampled_from([1, 2, 16, 64]),
)


@given(TILES, CHIPS)
def test_convolutions_take_what_their_blocks_take(tile: ConvolutionTile, chip: Rates) -> None:
    assert work.array_work(tile, chip) == slow_work(tile, chip)
    rate = {"window": chip.macs, "pointwise": chip.macs_pointwise, "depthwise": chip.macs_depthwise}[
        tile.kind
    ]
    if tile.wide:
        rate = max(1, rate * chip.wide_macs // 1024)
    outputs = tile.groups * tile.group_outputs * tile.rows * tile.columns
    expected = max(Fraction(slow_work(tile, chip) * 1024, rate), Fraction(outputs * 1024, chip.outputs))
    assert work.convolution_cycles(tile, chip) == ceil(expected)


@given(TILES, CHIPS)
def test_idle_lanes_are_work_too(tile: ConvolutionTile, chip: Rates) -> None:
    products = tile.outputs * tile.group_inputs * tile.kernel_height * tile.kernel_width
    assert work.array_work(tile, chip) >= products == work.array_work(tile, PLAIN)


@given(TILES, CHIPS, st.sampled_from(["rows", "columns", "group_inputs", "group_outputs", "groups"]))
def test_a_larger_tile_never_takes_less(tile: ConvolutionTile, chip: Rates, name: str) -> None:
    larger = replace(tile, **{name: getattr(tile, name) + 1})
    if larger.kind == tile.kind:
        assert work.convolution_cycles(larger, chip) >= work.convolution_cycles(tile, chip)


@given(EXTENT, EXTENT, EXTENT, CHIPS)
def test_matrix_products_round_nothing_up(rows: int, inner: int, columns: int, chip: Rates) -> None:
    expected = max(
        Fraction(rows * inner * columns * 1024, chip.macs_pointwise),
        Fraction(rows * columns * 1024, chip.outputs),
    )
    assert work.matmul_cycles(rows, inner, columns, False, chip) == ceil(expected)
    narrow = replace(chip, macs_pointwise=max(1, chip.macs_pointwise * chip.wide_macs // 1024))
    wide = work.matmul_cycles(rows, inner, columns, True, chip)
    assert wide == work.matmul_cycles(rows, inner, columns, False, narrow)


def test_pools_cost_the_cells_that_are_more() -> None:
    assert work.pool_cells(8, (4, 5), (8, 10)) == 8 * 80
    assert work.pool_cells(8, (4, 5), (2, 3)) == 8 * 20
    assert work.element_cycles(work.pool_cells(8, (4, 5), (8, 10)), PLAIN) == 160


def test_sums_and_products_cost_the_cells_that_they_read() -> None:
    whole = (4, 5, 6)
    assert work.binary_cells(whole, whole, whole) == 240
    assert work.binary_cells(whole, whole, (4, 1, 1)) == 124
    assert work.binary_cells(whole, (1, 5, 1), whole) == 125
    assert work.binary_cells(whole, (1, 5, 6), (4, 1, 1)) == 120  # the output has more


@given(st.lists(st.tuples(st.integers(1, 30), st.integers(1, 300)), max_size=4), CHIPS)
def test_a_transfer_costs_whole_multiples_a_run(runs: list[tuple[int, int]], chip: Rates) -> None:
    align = chip.row_alignment
    moved = sum((length + align - 1) // align * align for count, length in runs for _ in range(count))
    assert work.moved_bytes(runs, align) == moved
    assert work.load_cycles(runs, chip) == ceil(Fraction(moved * 1024, chip.read_bytes))
    assert work.store_cycles(runs, chip) == ceil(Fraction(moved * 1024, chip.write_bytes))


def test_constants_cost_what_is_stored() -> None:
    chip = replace(PLAIN, weight_bytes=512, row_alignment=64)
    assert [work.constants_cycles(stored, chip) for stored in (0, 1, 63, 64)] == [0, 2, 126, 128]
