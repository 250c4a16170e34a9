"""The batch that is achieved: what the operators allow, and as much as the memory of the chip holds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelbuild.arithmetic.fixed_model import FixedModel
from modelbuild.arithmetic.multiplier_shift import run
from modelbuild.chips.load import load_recipe
from modelbuild.chips.recipe import Recipe
from modelbuild.npu import batch_compiler
from modelbuild.npu.batch_compiler import Batch, compile_batch, count_batch
from modelbuild.npu.batching import CODE, own_batch
from modelbuild.npu.compile_options import compile_options
from modelbuild.npu.compiler import CompiledModel, compile_model
from modelbuild.npu.emitted import Progress, emit
from modelbuild.npu.limits import OverMemory, Ways
from modelbuild.npu.planning.planner import plan
from modelbuild.npu.rates import limits_of
from modelbuild.npu.savings import savings, sizes_of
from modelbuild.npu.simulator import simulate
from tests.arithmetic.dice import Dice
from tests.arithmetic.random_models import BUILDERS
from tests.hypotheses import examples
from tests.npu.small_models import Maker
from tests.npu.strategies import grown_models, random_inputs, seeds

RECIPE = load_recipe("modalix")


def with_room(bytes_: int) -> Recipe:
    container = RECIPE.container.model_copy(update={"max_model_bytes": bytes_})
    return RECIPE.model_copy(update={"container": container})


def conv() -> FixedModel:
    """A model of one picture."""
    for seed in range(50):
        model = BUILDERS["conv"](Dice(seed))
        if own_batch(model) == 1:
            return model
    raise AssertionError


def fully_connected() -> FixedModel:
    """Enough weights, most of them small, to be packed."""
    model = BUILDERS["gemm"](Dice(2))
    rng = np.random.default_rng(0)
    wide = np.clip(rng.normal(0, 3, (64, 256)), -127, 127).astype(np.int8)
    wide[0, 0] = 100
    tensors = {
        "x": replace(model.tensors["x"], shape=(1, 256)),
        "y": replace(model.tensors["y"], shape=(1, 64)),
    }
    (operator,) = model.operators
    names = operator.constants
    constants = {
        names["weight"]: wide,
        names["bias"]: np.zeros(64, np.int32),
        names["multiplier"]: np.ones(64, np.int32),
        names["shift"]: np.zeros(64, np.int32),
    }
    return replace(model, tensors=tensors, constants=constants)


def total(compiled: CompiledModel) -> int:
    return compiled.memory.dram_peak


def test_nothing_is_widened_that_nobody_asked_for() -> None:
    compiled, batch = compile_batch(conv(), RECIPE, {}, None)
    assert batch == Batch(None, 1)
    assert batch.to_json() == {"desired": None, "achieved": 1, "reasons": []}
    assert compiled == compile_model(conv(), RECIPE, {})


@examples(40)
@given(model=grown_models(), seed=seeds, wanted=st.integers(2, 4))
def test_a_program_runs_several_pictures(model: FixedModel, seed: int, wanted: int) -> None:
    compiled, batch = compile_batch(model, RECIPE, {}, wanted)
    own = own_batch(model)
    assert own is not None and batch.achieved in (own, wanted)
    if batch.findings or own == wanted:
        return
    inputs = {
        name: np.concatenate([random_inputs(model, seed + row)[name][:1] for row in range(wanted)])
        for name in model.inputs
    }
    found = simulate(compiled.command, compiled.weights, compiled.host, inputs, keep_layers=True)
    for row in range(wanted):
        alone = run(model, {name: np.repeat(v[row : row + 1], own, 0) for name, v in inputs.items()})
        for name, values in alone.items():
            np.testing.assert_array_equal(found.outputs[name][row], values[0])


def test_weights_pass_once() -> None:
    model = conv()
    one, four = (compile_batch(model, RECIPE, {}, wanted)[0] for wanted in (1, 4))
    assert len(one.weights) == len(four.weights)
    assert sum(layer.dram_write for layer in four.layers) == 4 * sum(layer.dram_write for layer in one.layers)


def test_the_batch_is_the_largest_that_fits() -> None:
    model = conv()
    needed = {n: total(compile_batch(model, RECIPE, {}, n)[0]) for n in range(1, 12)}
    for wanted in (2, 3, 7, 11):
        for room in sorted({needed[n] + more for n in needed for more in (0, 1)}):
            fitting = [n for n in range(1, wanted + 1) if needed[n] <= room]
            compiled, batch = compile_batch(model, with_room(room), {}, wanted)
            assert batch.achieved == max(fitting)
            assert total(compiled) == needed[batch.achieved]
            assert bool(batch.findings) == (batch.achieved < wanted)


def test_what_is_counted_is_what_is_compiled() -> None:
    model = conv()
    sizes = [total(compile_batch(model, RECIPE, {}, n)[0]) for n in (1, 4, 9)]
    for wanted in (None, 1, 4, 9):
        for room in (sizes[0], sizes[1] - 1, sizes[1], sizes[2]):
            compiled, batch = compile_batch(model, with_room(room), {}, wanted)
            counted, batched = count_batch(model, with_room(room), {}, wanted)
            assert (batched.achieved, batched.reasons) == (batch.achieved, batch.findings)
            assert own_batch(batched.model) == batch.achieved
            assert (counted.cycles, counted.memory) == (compiled.cycles, compiled.memory)
            assert counted.command == b""


@pytest.mark.parametrize("wanted", [1, 8])
def test_what_does_not_fit_at_all_is_counted_with_a_reason(wanted: int) -> None:
    counted, batched = count_batch(conv(), with_room(100), {}, wanted)
    assert counted.cycles == compile_model(conv(), RECIPE, {}).cycles
    assert batched.achieved == 1
    (reason,) = batched.reasons
    assert reason.message == "not even a batch of 1 fits the memory of modalix"


def test_few_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    model = conv()
    tried = []

    def counted(widened: FixedModel, *rest: Any, **more: Any) -> CompiledModel:
        tried.append(own_batch(widened))
        return compile_model(widened, *rest, **more)

    room = total(compile_batch(model, RECIPE, {}, 100)[0])
    monkeypatch.setattr(batch_compiler, "compile_model", counted)
    _, batch = compile_batch(model, with_room(room), {}, 1000)
    assert batch.achieved == 100
    assert tried[0] == 1 and len(tried) <= 6
    assert max(number or 0 for number in tried) < 200, "what is far too much is not compiled"
    (finding,) = batch.findings
    assert (finding.code, finding.node) == (CODE, "")
    assert finding.message == "a batch of 100 fits the memory of modalix, 1000 does not"


def test_a_model_that_does_not_fit_by_itself_is_an_error() -> None:
    with pytest.raises(OverMemory):
        compile_batch(conv(), with_room(100), {}, 8)
    with pytest.raises(OverMemory):
        compile_batch(conv(), with_room(100), {}, None)


def test_what_would_help_is_measured() -> None:
    """Working memory that outputs may share, and weights that shrink."""
    model = fully_connected()
    dedicated, shared, packed = (
        sizes_of(compile_model(model, RECIPE, options))
        for options in ({}, {"dedicated_output_buffer": False}, {"weight_compress": True})
    )
    ways = savings(model, RECIPE, {}, dedicated)
    assert ways == Ways(dedicated.total - shared.total, dedicated.total - packed.total, 0)
    assert ways.compressed > 0
    with pytest.raises(OverMemory) as caught:
        compile_batch(model, with_room(dedicated.total - 1), {}, None)
    advice = caught.value.problems[0].advice
    assert f"`compile: {{weight_compress: true}}` (saves {ways.compressed:,})" in advice
    again = savings(model, load_recipe("kl530"), {"weight_compress": True}, packed)
    assert again.compressed == 0 and again.int4 == round(packed.weights * 3 / 8)


def test_a_node_in_the_way_leaves_the_models_own_batch() -> None:
    model = BUILDERS["transpose"](Dice(3))
    turned = replace(
        model.operators[0], parameters={"perm": tuple(range(len(model.tensors["x"].shape)))[::-1]}
    )
    shape = model.tensors["x"].shape[::-1]
    tensors = {**model.tensors, "y": replace(model.tensors["y"], shape=shape)}
    _, batch = compile_batch(replace(model, operators=(turned,), tensors=tensors), RECIPE, {}, 9)
    assert batch.achieved == model.tensors["x"].shape[0]
    assert batch.desired == 9 and [one.node for one in batch.findings] == ["operator"]


@pytest.mark.parametrize("chip", ["kl720", "modalix"])
def test_pictures_that_stay_never_cost_more(chip: str) -> None:
    """Of several pictures the default is the better of two plans, and both run."""
    hardware = load_recipe(chip).hardware
    maker = Maker(x=(4, 64, 7, 7))
    maker.conv("a", "x", 256, 1, 1, 0)
    maker.conv("y", "a", 64, 1, 1, 0)
    model = maker.model("y")
    tile = hardware.tile_bytes.model_copy(update={"value": 4096})
    own = load_recipe(chip).model_copy(update={"hardware": hardware.model_copy(update={"tile_bytes": tile})})
    for sram in (8192, 20_000, 60_000):
        made = compile_model(model, own, {"sram_bytes": sram})
        limits = limits_of(own.hardware, sram)
        plain = emit(
            model, plan(model, limits), made.rates, compile_options(own, {}), False, Progress(None, 1)
        )
        moved = sum(layer.dram_read + layer.dram_write + layer.weight_bytes for layer in made.layers)
        assert made.cycles <= plain.npu.now and moved <= plain.moved
        assert moved < plain.moved or sram != 20_000
        x = random_inputs(model, 1)
        found = simulate(made.command, made.weights, made.host, x)
        assert found.cycles == made.cycles
        assert np.array_equal(found.outputs["y"], run(model, x)["y"])
