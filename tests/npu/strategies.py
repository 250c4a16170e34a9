"""Random fixed models of several layers, on both units, that the compiler and the simulator must agree on."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import strategies as st

from modelbuild.arithmetic.fixed_model import FixedModel, Integers, QuantizedTensor
from modelbuild.chips.load import load_recipe
from modelbuild.chips.recipe import Recipe
from tests.arithmetic.dice import Dice
from tests.arithmetic.random_models import BUILDERS
from tests.npu.growth import Growth
from tests.npu.growth_steps import STEPS

SRAM_SIZES = (512, 1024, 2048, 4096, 1 << 16, 1 << 20)


def recipe() -> Recipe:
    return load_recipe("kl720")


FUSABLE = ("curve", "prelu", "rescale", "table")


def on_units(model: FixedModel, dice: Dice) -> FixedModel:
    """The same model with each operator on a random unit, or in the output stage of the one before."""
    units = [("npu", "npu", "cpu")[dice.whole(0, 2)] for _ in model.operators]
    return replace(
        model,
        operators=tuple(
            replace(operator, unit=unit, fused=operator.kind in FUSABLE and bool(dice.whole(0, 1)))
            for operator, unit in zip(model.operators, units, strict=True)
        ),
    )


def grown(seed: int, bits: int = 8, fewest: int = 1, most: int = 8) -> FixedModel:
    """A model of so many layers."""
    dice = Dice(seed, bits)
    growth = Growth(dice)
    wanted = dice.whole(fewest, most)
    while len(growth.operators) < wanted:
        STEPS[dice.whole(0, len(STEPS) - 1)](growth)
    return on_units(growth.finish(), dice)


def random_inputs(model: FixedModel, seed: int) -> dict[str, Integers]:
    """Integers over the whole range of each input."""
    return Dice(seed).inputs(model)


seeds = st.integers(0, 2**32 - 1)
widths = st.sampled_from([8, 8, 16])
sram_sizes = st.sampled_from(SRAM_SIZES)


@st.composite
def single_operators(draw: st.DrawFn, kind: str) -> FixedModel:
    """A model of one operator of `kind` on a random unit."""
    dice = Dice(draw(seeds), draw(widths))
    return on_units(BUILDERS[kind](dice), dice)


@st.composite
def grown_models(draw: st.DrawFn) -> FixedModel:
    """A model of several layers on both units."""
    return grown(draw(seeds), draw(widths))


def network(seed: int) -> FixedModel:
    """A residual block with a head, scaled so that values spread over their range instead of saturating."""
    growth = Growth(Dice(seed))
    dice = growth.dice
    growth.tensors["input"] = QuantizedTensor("input", (1, 3, 12, 12), 8, True, 0.05, 0)

    def layer(kind: str, source: str, shape: tuple[int, ...], filters: tuple[int, ...], **more: Any) -> str:
        y = growth.put(growth.name(), shape, growth.tensors["input"])
        spread = 40 / (math.sqrt(math.prod(filters[1:])) * 70 * 40)
        shift = int(math.log2((1 << 31) / spread)) - 1
        constants = {
            "weight": dice.rng.integers(-127, 128, filters).astype(np.int8),
            "bias": dice.rng.integers(-50000, 50000, filters[0]).astype(np.int32),
            "multiplier": (dice.rng.uniform(0.8, 1.6, filters[0]) * spread * 2.0**shift).astype(np.int32),
            "shift": np.full(filters[0], shift, np.int32),
        }
        p = {"input_zero": 0, "output_zero": 0, "low": -128, "high": 127, **more}
        growth.grow(kind, [source], y, p, constants)
        return y.name

    window = {"strides": (1, 1), "pads": (1, 1, 1, 1), "dilations": (1, 1)}
    point = {"strides": (1, 1), "pads": (0, 0, 0, 0), "dilations": (1, 1), "group": 1}
    first = layer("conv", "input", (1, 8, 12, 12), (8, 3, 3, 3), group=1, **window)
    deep = layer("conv", first, (1, 8, 12, 12), (8, 1, 3, 3), group=8, **window)
    wide = layer("conv", deep, (1, 8, 12, 12), (8, 8, 1, 1), **point)
    y = growth.put(growth.name(), (1, 8, 12, 12), growth.tensors["input"])
    p = {"input_zero": 0, "other_zero": 0, "input_multiplier": 3, "other_multiplier": 2, "shift": 2}
    growth.grow("add", [first, wide], y, p | {"output_zero": 0, "low": -128, "high": 127})
    down = {**window, "strides": (2, 2)}
    small = layer("conv", y.name, (1, 16, 6, 6), (16, 8, 3, 3), group=1, **down)
    flat = growth.put(growth.name(), (1, 576), growth.tensors["input"])
    growth.grow("reshape", [small], flat, {"shape": (1, 576)})
    layer("gemm", flat.name, (1, 10), (10, 576))
    return growth.finish()
