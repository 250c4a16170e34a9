"""Random models on random chips: predicted cycles are those simulated, and layers the fixed model's."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from modelbuild.arithmetic.fixed_model import FixedModel
from modelbuild.arithmetic.multiplier_shift import run
from modelbuild.chips.recipe import Recipe
from modelbuild.errors import ModelbuildError
from modelbuild.npu.compiler import CompiledModel, compile_model
from modelbuild.npu.simulator import simulate
from tests.hypotheses import examples
from tests.npu.strategies import grown, random_inputs, recipe, seeds, widths

RECIPE = recipe()
chips = st.fixed_dictionaries(
    {
        "engines_at_once": st.sampled_from([1, 4]),
        "interlock_bytes": st.sampled_from([16, 64, 1024]),
        "row_alignment_bytes": st.sampled_from([1, 1, 16]),
        "tile_bytes": st.sampled_from([64, 256, 1024, 1 << 16]),
        "keeps_for_groups": st.sampled_from([0, 1, 2]),
        "columns_at_once": st.sampled_from([1, 4]),
        "pixels_at_once": st.sampled_from([1, 16]),
        "input_channels_at_once": st.sampled_from([1, 4, 16]),
        "few_channels_at_once": st.sampled_from([1, 4, 16]),
        "output_channels_at_once": st.sampled_from([1, 16]),
        "window_rows_at_once": st.sampled_from([1, 3]),
        "window_columns_at_once": st.sampled_from([1, 3]),
        "outputs_per_cycle": st.sampled_from([0.5, 64]),
        "layer_overhead_cycles": st.sampled_from([0, 7]),
    }
)
compile_settings = st.fixed_dictionaries(
    {
        "sram_bytes": st.sampled_from([512, 1024, 2048, 4096, 1 << 14, 1 << 20]),
        "tiling": st.sampled_from(["default", "deep"]),
        "weight_compress": st.booleans(),
        "dedicated_output_buffer": st.booleans(),
    }
)


def changed(chip: dict[str, float]) -> Recipe:
    """The recipe with other values of some facts."""
    hardware = RECIPE.hardware
    facts = {name: getattr(hardware, name).model_copy(update={"value": chip[name]}) for name in chip}
    return RECIPE.model_copy(update={"hardware": hardware.model_copy(update=facts)})


def compiled(model: FixedModel, options: dict[str, object], chip: dict[str, float]) -> CompiledModel | None:
    """None where not even the smallest step fits."""
    try:
        return compile_model(model, changed(chip), options)
    except ModelbuildError as error:
        assert "bytes of SRAM" in str(error)
        return None


@examples(250)
@given(seed=seeds, bits=widths, options=compile_settings, chip=chips)
def test_bits_and_cycles_are_the_simulators(
    seed: int, bits: int, options: dict[str, object], chip: dict[str, float]
) -> None:
    model = grown(seed, bits)
    program = compiled(model, options, chip)
    if program is None:
        return
    inputs = random_inputs(model, seed)
    found = simulate(program.command, program.weights, program.host, inputs, keep_layers=True)
    expected = run(model, inputs, keep="all")
    assert set(found.outputs) == set(model.outputs)
    for name, values in {**found.layers, **found.outputs}.items():
        if name in expected:
            np.testing.assert_array_equal(values, expected[name], err_msg=name)
    assert found.cycles == program.cycles == sum(layer.cycles for layer in program.layers)
    assert program.memory.sram_peak <= options["sram_bytes"]
    assert len(program.weights) == program.memory.weights


@examples(60)
@given(seed=seeds, options=compile_settings, chip=chips)
def test_what_is_only_counted_is_counted_alike(
    seed: int, options: dict[str, object], chip: dict[str, float]
) -> None:
    model = grown(seed)
    options = {**options, "weight_compress": False}
    program = compiled(model, options, chip)
    if program is None:
        return
    counted = compile_model(model, changed(chip), options, bytes_wanted=False)
    assert (counted.command, counted.weights, counted.host) == (b"", b"", b"")
    assert counted.layers == program.layers and counted.groups == program.groups
    assert counted.memory == program.memory and counted.cycles == program.cycles


@examples(60)
@given(seed=seeds, sram=st.sampled_from([1024, 4096, 1 << 20]), chip=chips)
def test_deep_is_never_slower_and_never_moves_more_than_default(
    seed: int, sram: int, chip: dict[str, float]
) -> None:
    model = grown(seed)
    both = [compiled(model, {"sram_bytes": sram, "tiling": tiling}, chip) for tiling in ("default", "deep")]
    default, deep = both
    assert (default is None) >= (deep is None)
    if default is not None and deep is not None:
        assert deep.cycles <= default.cycles
        moved = [
            sum(it.dram_read + it.dram_write + it.weight_bytes for it in found.layers)
            for found in (deep, default)
        ]
        assert moved[0] <= moved[1]


@examples(60)
@given(seed=seeds, sram=st.sampled_from([1024, 4096, 1 << 20]))
def test_costs_of_operators_add_up_to_their_groups(seed: int, sram: int) -> None:
    """One engine at a time: an operator's cycles are those of its engines, and of the barrier."""
    program = compiled(grown(seed), {"sram_bytes": sram}, {"engines_at_once": 1})
    if program is None:
        return
    end = 0
    for group in program.groups:
        members = [program.layers[index] for index in group.members]
        engines = [
            (it.compute_cycles, it.read_cycles, it.write_cycles, it.weight_cycles, it.overhead_cycles)
            for it in members
        ]
        assert [sum(one) for one in engines] == [it.cycles for it in members]
        assert group.start == end and group.end - group.start == sum(it.cycles for it in members)
        assert group.dram_read == sum(it.dram_read for it in members)
        assert all(group.start <= it.start <= it.end <= group.end for it in members if it.tiles)
        end = group.end
    assert end == program.cycles
