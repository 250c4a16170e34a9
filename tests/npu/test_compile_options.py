"""The settings that the compiler obeys."""

from __future__ import annotations

from dataclasses import replace

import pytest

from modelbuild.arithmetic.fixed_model import FixedModel
from modelbuild.arithmetic.multiplier_shift import run
from modelbuild.errors import ModelbuildError
from modelbuild.npu.compiler import compile_model
from tests.npu.small_models import Maker
from tests.npu.strategies import network, random_inputs
from tests.npu.test_compiler import RECIPE, assert_equal, relu_chain, simulated


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"tile": 1}, "unknown compile option 'tile'"),
        ({"sram_bytes": 0}, "sram_bytes"),
        ({"sram_bytes": "1"}, "sram_bytes"),
        ({"sram_bytes": True}, "sram_bytes"),
        ({"tiling": "deeper"}, "tiling must be default or deep, not 'deeper'"),
        ({"weight_compress": 1}, "weight_compress must be true or false"),
        ({"dedicated_output_buffer": None}, "dedicated_output_buffer must be true or false"),
    ],
)
def test_wrong_options(options: dict[str, object], text: str) -> None:
    with pytest.raises(ModelbuildError, match=text):
        compile_model(relu_chain(1), RECIPE, options)


def test_narrow_weights_are_packed_and_cost_less() -> None:
    model = narrow(network(0))
    inputs = random_inputs(model, 0)
    plain, packed = (compile_model(model, RECIPE, {"weight_compress": wish}) for wish in (False, True))
    assert plain.packed == 0 and packed.packed == len(plain.weights) - len(packed.weights) > 1000
    assert packed.memory.weights == len(packed.weights) and packed.cycles < plain.cycles
    assert simulated(packed, inputs).cycles == packed.cycles
    assert_equal(simulated(packed, inputs).outputs, run(model, inputs))


def narrow(model: FixedModel) -> FixedModel:
    """The same with weights of three bits."""
    weights = {name for name in model.constants if name.endswith("/weight")}
    return replace(
        model,
        constants={
            name: values // 32 if name in weights else values for name, values in model.constants.items()
        },
    )


def test_outputs_may_share_memory_with_what_is_worked_in() -> None:
    model = relu_chain(6)
    operators = tuple(replace(operator, unit="cpu") for operator in model.operators)
    model = replace(model, operators=operators)
    alone, shared = (compile_model(model, RECIPE, {"dedicated_output_buffer": it}) for it in (True, False))
    assert shared.memory.output == 0 and alone.memory.output == alone.memory.input
    assert shared.memory.working == alone.memory.working
    inputs = random_inputs(model, 0)
    assert_equal(simulated(shared, inputs).outputs, run(model, inputs))


def test_deep_tiling_moves_less() -> None:
    """A chain of convolutions whose maps do not fit, but for a band of each."""
    maker = Maker(x=(1, 8, 64, 64))
    for name, source in (("a", "x"), ("b", "a"), ("y", "b")):
        maker.conv(name, source, 8, 3, 1, 1)
    model = maker.model("y")
    default, deep = (
        compile_model(model, RECIPE, {"sram_bytes": 1 << 14, "tiling": it}) for it in ("default", "deep")
    )
    assert [len(found.groups) for found in (default, deep)] == [3, 1]
    assert [layer.on_chip for layer in deep.layers] == [True, True, False]
    written = [sum(layer.dram_write for layer in found.layers) for found in (default, deep)]
    assert written == [3 * 8 * 64 * 64, 8 * 64 * 64]
    assert deep.cycles < default.cycles and (default.tiling, deep.tiling) == ("default", "deep")


def test_deep_tiling_that_is_no_better_is_not_taken() -> None:
    maker = Maker(x=(1, 8, 8, 8))
    maker.conv("y", "x", 8, 3, 1, 1)
    default, deep = (compile_model(maker.model("y"), RECIPE, {"tiling": it}) for it in ("default", "deep"))
    assert (deep.tiling, deep.command) == ("default", default.command)


def test_progress_is_told_group_by_group() -> None:
    heard: list[tuple[int, int, str]] = []
    found = compile_model(network(0), RECIPE, {}, told=lambda *told: heard.append(told))
    assert heard == [(done, len(found.groups), "default") for done in range(len(found.groups))]
    heard.clear()
    compile_model(network(0), RECIPE, {"tiling": "deep"}, told=lambda *told: heard.append(told))
    total = len(heard)
    assert [(done, of) for done, of, _ in heard] == [(done, total) for done in range(total)]
    assert [tiling for _, _, tiling in heard[len(found.groups) :]] == ["deep"] * (total - len(found.groups))
    assert total > len(found.groups)
