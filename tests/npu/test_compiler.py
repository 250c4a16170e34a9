"""Compiled programs against the fixed model: every bit, every cycle, every kind, both units, small SRAM."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from modelbuild.arithmetic.fixed_model import FixedModel
from modelbuild.arithmetic.multiplier_shift import run
from modelbuild.errors import ModelbuildError
from modelbuild.npu.compiler import CompiledModel, compile_model
from modelbuild.npu.lowering import LOOPS, TILES
from modelbuild.npu.simulator import Simulation, simulate
from modelbuild.npu.too_little_sram import TooLittleSram
from tests.arithmetic import oracle
from tests.arithmetic.dice import Dice, one
from tests.arithmetic.random_models import BUILDERS
from tests.hypotheses import examples
from tests.npu.small_models import Maker
from tests.npu.strategies import (
    grown,
    grown_models,
    random_inputs,
    recipe,
    seeds,
    single_operators,
    sram_sizes,
)

RECIPE = recipe()


def compiled(model: FixedModel, sram: int = 1 << 20) -> CompiledModel:
    try:
        return compile_model(model, RECIPE, {"sram_bytes": sram})
    except ModelbuildError as error:
        assume("bytes of SRAM" not in str(error))
        raise


def simulated(program: CompiledModel, inputs: dict[str, Any]) -> Simulation:
    return simulate(program.command, program.weights, program.host, inputs, keep_layers=True)


def assert_equal(found: dict[str, Any], expected: dict[str, Any]) -> None:
    for name, values in found.items():
        assert values.dtype == expected[name].dtype
        np.testing.assert_array_equal(values, expected[name], err_msg=name)


def test_every_operator_is_translated() -> None:
    assert {*LOOPS, *TILES} == set(BUILDERS)


@pytest.mark.parametrize("kind", sorted(BUILDERS))
@examples(25)
@given(data=st.data(), seed=seeds)
def test_each_operator_equals_kernels_and_oracle(kind: str, data: st.DataObject, seed: int) -> None:
    model = data.draw(single_operators(kind))
    program = compiled(model, data.draw(sram_sizes.filter(lambda size: size >= 2048)))
    inputs = random_inputs(model, seed)
    found = simulated(program, inputs)
    assert set(found.outputs) == set(model.outputs) <= set(found.layers)
    expected = run(model, inputs, keep="all")
    assert_equal({name: values for name, values in found.layers.items() if name in expected}, expected)
    assert_equal(found.outputs, oracle.run(model, inputs))


@examples(120)
@given(model=grown_models(), sram=sram_sizes, seed=seeds)
def test_whole_models_equal_in_every_layer_and_cycle(model: FixedModel, sram: int, seed: int) -> None:
    program = compiled(model, sram)
    inputs = random_inputs(model, seed)
    found = simulated(program, inputs)
    expected = run(model, inputs, keep="all")
    assert set(model.outputs) <= set(found.layers)
    assert_equal({name: values for name, values in found.layers.items() if name in expected}, expected)
    assert_equal(found.outputs, expected)
    assert found.cycles == sum(layer.cycles for layer in program.layers)
    assert program.memory.sram_peak <= sram


@examples(60)
@given(model=grown_models())
def test_feature_maps_that_live_at_once_do_not_overlap(model: FixedModel) -> None:
    memory = compiled(model).memory
    assert memory.input + memory.output + memory.working <= memory.dram_peak
    for index, mine in enumerate(memory.placements):
        for other in memory.placements[index + 1 :]:
            together = mine.first <= other.last and other.first <= mine.last
            apart = mine.address + mine.size <= other.address or other.address + other.size <= mine.address
            border = "working" not in (mine.region, other.region)
            assert apart or not (together or border), (mine, other)


@examples(20)
@given(model=grown_models())
def test_compiling_is_deterministic(model: FixedModel) -> None:
    assert compiled(model) == compiled(replace(model, tensors=dict(reversed(model.tensors.items()))))


def relu_chain(length: int) -> FixedModel:
    dice = Dice(1)
    single = BUILDERS["rescale"](dice)
    x, operator = single.tensors["x"], single.operators[0]
    names = ["x", *(f"t{index}" for index in range(length))]
    parameters = dict(operator.parameters) | {"low": x.low, "high": x.high, "output_zero": 0, "input_zero": 0}
    return replace(
        single,
        outputs=(names[-1],),
        tensors={name: replace(x, name=name) for name in names},
        operators=tuple(
            replace(operator, name=after, inputs=(before,), outputs=(after,), parameters=parameters)
            for before, after in pairwise(names)
        ),
    )


def test_a_chain_on_the_cpu_reuses_two_buffers() -> None:
    model = relu_chain(9)
    operators = tuple(replace(operator, unit="cpu") for operator in model.operators)
    memory = compiled(replace(model, operators=operators)).memory
    size = memory.input
    assert (memory.output, memory.working) == (size, 2 * size)
    assert compiled(model).memory.working == 0  # all of it stays on the chip


def test_cpu_operators_become_segments_of_neighbours() -> None:
    model = relu_chain(6)
    units = ["npu", "cpu", "cpu", "npu", "cpu", "npu"]
    operators = tuple(replace(o, unit=unit) for o, unit in zip(model.operators, units, strict=True))
    program = compiled(replace(model, operators=operators))
    assert [layer.unit for layer in program.layers] == units
    assert [layer.cycles > 0 for layer in program.layers] == [unit == "npu" for unit in units]
    assert program.host.startswith(b"MBNH") and program.host[6:8] == b"\2\0"
    assert compiled(model).host == b""


def test_plans_count_what_crosses_the_border_of_the_chip() -> None:
    dice = Dice(7)
    model = BUILDERS["conv"](dice)
    program = compiled(model)
    (layer,) = program.layers
    x, y = (model.tensors[name] for name in ("x", "y"))
    assert layer.dram_write == y.dtype.itemsize * int(np.prod(y.shape))
    assert layer.dram_read >= 0 and layer.dram_read <= 4 * int(np.prod(x.shape))
    assert layer.weight_bytes == len(program.weights)
    assert layer.outputs == (("y", program.memory.input, layer.dram_write),)
    assert (layer.name, layer.kind, layer.unit) == ("operator", "conv", "npu")


def test_a_reshape_costs_nothing_where_it_can_share_memory() -> None:
    model = next(
        model
        for model in (replace(grown(seed), name="m") for seed in range(1000))
        if any(op.kind == "reshape" and op.outputs[0] not in model.outputs for op in model.operators)
        and not any(op.kind == "reshape" and op.inputs[0] in model.outputs for op in model.operators)
    )
    layer = next(layer for layer in compiled(model).layers if layer.kind == "reshape")
    assert (layer.cycles, layer.tiles, layer.dram_read, layer.dram_write) == (0, 0, 0, 0)


def test_too_little_sram_names_the_layer_and_the_bytes() -> None:
    with pytest.raises(ModelbuildError, match=r"softmax 'operator' needs \d+ bytes of SRAM") as caught:
        compile_model(BUILDERS["softmax"](Dice(3)), RECIPE, {"sram_bytes": 256})
    assert "there are 256" in str(caught.value)


def test_all_layers_that_exceed_the_sram_are_told_with_what_helps() -> None:
    maker = Maker(x=(1, 3, 8, 64))
    maker.conv("a", "x", 16, 3, 1, 1)
    maker.conv("b", "a", 16, 3, 1, 1)
    maker.conv("c", "b", 16, 1, 1, 0)
    model = maker.model("c")
    with pytest.raises(ModelbuildError) as caught:
        compile_model(model, RECIPE, {"sram_bytes": 100})
    (problem,) = caught.value.problems
    assert problem.where == "compile.sram_bytes"
    found = re.fullmatch(r"the smallest step of conv 'b' needs (\d+) bytes of SRAM", problem.what)
    assert found is not None, "the largest need comes first"
    each = r"conv '[ac]' \(\d+\)"
    assert re.fullmatch(rf"there are 100, too few as well for {each}, {each}", problem.why)
    own = int(RECIPE.hardware.sram_bytes.value)
    assert problem.advice == f"write `sram_bytes: {found[1]}` or more, or remove it: {RECIPE.chip} has {own}"
    compile_model(model, RECIPE, {"sram_bytes": int(found[1])})
    fact = RECIPE.hardware.sram_bytes.model_copy(update={"value": 100})
    little = RECIPE.model_copy(update={"hardware": RECIPE.hardware.model_copy(update={"sram_bytes": fact})})
    with pytest.raises(ModelbuildError) as caught:
        compile_model(model, little, {})
    (problem,) = caught.value.problems
    assert problem.where == model.name and "narrower picture" in problem.advice


def test_operators_with_loops_of_their_own_are_told_alike() -> None:
    """All of them, with what the largest needs, and that is enough."""
    model = BUILDERS["concat"](Dice(3))
    with pytest.raises(TooLittleSram) as caught:
        compile_model(model, RECIPE, {"sram_bytes": 32})
    (problem,) = caught.value.problems
    assert problem.where == "compile.sram_bytes" and "too few as well for rescale" in problem.why
    needed = re.search(r"needs (\d+) bytes", problem.what)
    assert needed is not None and problem.advice.startswith(f"write `sram_bytes: {needed[1]}` or more")
    compile_model(model, RECIPE, {"sram_bytes": int(needed[1])})
    softmax = BUILDERS["softmax"](Dice(3))
    with pytest.raises(TooLittleSram) as caught:
        compile_model(softmax, RECIPE, {"sram_bytes": 256})
    (needed,) = re.findall(r"needs (\d+) bytes", caught.value.problems[0].what)
    compile_model(softmax, RECIPE, {"sram_bytes": int(needed)})


def test_wrong_models() -> None:
    model = relu_chain(1)
    operator = model.operators[0]
    cases = {
        "kpu@1": replace(model, arithmetic="kpu@1"),
        "kind 'relu' is unknown": replace(model, operators=(replace(operator, kind="relu"),)),
        "parameter shift is missing": replace(
            model,
            operators=(
                replace(operator, parameters={k: v for k, v in operator.parameters.items() if k != "shift"}),
            ),
        ),
        "shift is not in 0..62": replace(
            model, operators=(replace(operator, parameters={**operator.parameters, "shift": 63}),)
        ),
        "low is": replace(
            model, operators=(replace(operator, parameters={**operator.parameters, "low": -1000}),)
        ),
    }
    for text, wrong in cases.items():
        with pytest.raises(ModelbuildError) as caught:
            compile_model(wrong, RECIPE, {})
        assert text in str(caught.value)


def test_more_dram_than_the_chip_has() -> None:
    small = RECIPE.hardware.dram_bytes.model_copy(update={"value": 1000.0})
    hardware = RECIPE.hardware.model_copy(update={"dram_bytes": small})
    with pytest.raises(ModelbuildError, match=r"needs [\d,]+ bytes of DRAM; kl720 has 1,000"):
        compile_model(relu_chain(3), RECIPE.model_copy(update={"hardware": hardware}), {})


def test_constant_operands_are_loaded_like_weights() -> None:
    dice = Dice(5)
    model = BUILDERS["add"](dice)
    values = dice.inputs(model)
    constant = replace(model, inputs=("a",), constants={"b": values["b"]})
    program = compiled(constant)
    found = simulated(program, {"a": values["a"]})
    assert_equal(found.outputs, run(model, values))
    wrong = replace(constant, constants={"b": values["b"][..., :0]})
    with pytest.raises(ModelbuildError, match="constant is not what its tensor says"):
        compile_model(wrong, RECIPE, {})


def test_an_output_may_be_read_again_and_an_input_may_be_an_output() -> None:
    model = replace(relu_chain(3), outputs=("t0", "t2", "x"))
    inputs = random_inputs(model, 3)
    found = simulated(compiled(model), inputs)
    assert list(found.outputs) == ["t0", "t2", "x"]
    assert_equal(found.outputs, run(model, inputs, keep="all"))


def test_windows_beyond_the_picture() -> None:
    """Pads larger than the kernel: whole tiles see nothing but padding."""
    dice = Dice(11)
    x, y = dice.tensor("x", (1, 2, 3, 3)), dice.tensor("y", (1, 2, 11, 11))
    p = {"strides": (1, 1), "pads": (4, 4, 4, 4), "dilations": (1, 1), "group": 1}
    p |= {"input_zero": x.zero_point, "output_zero": y.zero_point, "low": y.low, "high": y.high}
    constants = {
        "weight": dice.rng.integers(-127, 128, (2, 2, 1, 1)).astype(np.int8),
        "bias": np.array([300, -300], np.int32),
        **dice.rows(2, 40000, y),
    }
    model = one("conv", [x, y], p, constants)
    inputs = dice.inputs(model)
    for sram in (256, 1 << 20):
        assert_equal(simulated(compiled(model, sram), inputs).outputs, oracle.run(model, inputs))


def test_windows_that_see_nothing_of_a_map() -> None:
    """One row of output, all of it padding: nothing is loaded, and no slot is needed."""
    dice = Dice(5)
    x, y = dice.tensor("x", (1, 2, 2, 4)), dice.tensor("y", (1, 1, 1, 4))
    p = {"strides": (3, 1), "pads": (2, 0, 0, 0), "dilations": (1, 1), "group": 1}
    p |= {"input_zero": x.zero_point, "output_zero": y.zero_point, "low": y.low, "high": y.high}
    constants = {
        "weight": dice.rng.integers(-127, 128, (1, 2, 2, 1)).astype(np.int8),
        "bias": np.array([300], np.int32),
        **dice.rows(1, 40000, y),
    }
    model = one("conv", [x, y], p, constants)
    inputs = dice.inputs(model)
    program = compiled(model)
    assert program.layers[0].dram_read == 0
    assert_equal(simulated(program, inputs).outputs, oracle.run(model, inputs))
