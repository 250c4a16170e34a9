"""Recipes as whole numbers a program can hold."""

from __future__ import annotations

import json
from dataclasses import astuple, replace

import pytest

from modelbuild.chips.load import chip_names, load_recipe
from modelbuild.chips.recipe import Hardware
from modelbuild.errors import ModelbuildError
from modelbuild.npu.program import Rates
from modelbuild.npu.rates import limits_of, rates

NUMBERS: dict[str, float] = {
    "clock_hz": 1000,
    "macs_per_cycle": 512,
    "macs_per_cycle_pointwise": 304.75,
    "macs_per_cycle_depthwise": 0.0001,
    "wide_macs_factor": 0.25,
    "outputs_per_cycle": 64,
    "elementwise_per_cycle": 2.5,
    "columns_at_once": 16,
    "pixels_at_once": 2,
    "input_channels_at_once": 4,
    "few_channels_at_once": 3,
    "output_channels_at_once": 8,
    "window_rows_at_once": 3,
    "window_columns_at_once": 5,
    "sram_bytes": 1 << 20,
    "tile_bytes": 1 << 16,
    "keeps_for_groups": 1,
    "interlock_bytes": 64,
    "dram_bytes": 1 << 26,
    "dram_read_bytes_per_second": 4000,
    "dram_write_bytes_per_second": 2000,
    "weight_bytes_per_second": 500,
    "row_alignment_bytes": 32,
    "engines_at_once": 4,
    "layer_overhead_cycles": 484.8,
    "cpu_hz": 1,
    "cpu_operations_per_cycle": 1,
}


def hardware(**changed: float) -> Hardware:
    facts = {
        name: {"value": value, "source": "test", "sure": "vendor"}
        for name, value in {**NUMBERS, **changed}.items()
    }
    return Hardware.model_validate_json(json.dumps(facts))


def test_each_rate_is_its_fact_in_1024_cycles() -> None:
    assert rates(hardware()) == Rates(
        macs=524_288,
        macs_pointwise=312_064,
        macs_depthwise=1,  # never 0
        outputs=65_536,
        elements=2_560,
        read_bytes=4_096,
        write_bytes=2_048,
        weight_bytes=512,
        layer_overhead=485,
        wide_macs=256,
        columns=16,
        pixels=2,
        input_channels=4,
        few_channels=3,
        output_channels=8,
        window_rows=3,
        window_columns=5,
        engines=4,
        granule=64,
        row_alignment=32,
    )


def test_a_clock_slows_what_goes_by_seconds() -> None:
    slow, fast = rates(hardware()), rates(hardware(clock_hz=2 * hardware().clock_hz.value))
    assert (2 * fast.read_bytes, 2 * fast.write_bytes) == (slow.read_bytes, slow.write_bytes)
    assert fast.macs == slow.macs  # a cycle is a cycle


@pytest.mark.parametrize("chip", chip_names())
def test_plans_keep_to_the_facts(chip: str) -> None:
    facts = load_recipe(chip).hardware
    found = limits_of(facts)
    assert (found.sram_bytes, found.granule) == (facts.sram_bytes.value, facts.interlock_bytes.value)
    assert (found.engines, found.row_alignment) == (
        facts.engines_at_once.value,
        facts.row_alignment_bytes.value,
    )
    assert limits_of(facts, 4096) == replace(found, sram_bytes=4096)


def test_what_no_header_can_hold() -> None:
    with pytest.raises(ModelbuildError, match=r"the chip's `macs_per_cycle` is too large .*\n.*4294967295"):
        rates(hardware(macs_per_cycle=4_194_304))
    with pytest.raises(ModelbuildError, match="the chip's `dram_read_bytes_per_second` is too large"):
        rates(hardware(clock_hz=1e-300))


@pytest.mark.parametrize("chip", chip_names())
def test_every_chip_has_rates(chip: str) -> None:
    found = rates(load_recipe(chip).hardware)
    assert min(value for value in astuple(found) if value != found.layer_overhead) >= 1
    assert found.engines in (1, 4) and found.granule & (found.granule - 1) == 0


def test_a_bandwidth_too_small_to_count_with_is_no_other_bandwidth() -> None:
    assert rates(hardware(dram_read_bytes_per_second=1)).read_bytes == 1
    with pytest.raises(ModelbuildError, match="`dram_read_bytes_per_second` is too small") as caught:
        rates(hardware(dram_read_bytes_per_second=0.9))
    assert "of a clock of 1000 Hz" in str(caught.value.problems[0].why)
