"""Constants of modelbuild's own programs: the numbers that went in come out, in whatever pieces."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from modelbuild.arithmetic.fixed_model import FixedModel
from modelbuild.artifacts.differing import diff
from modelbuild.artifacts.differing_programs import constants
from modelbuild.artifacts.packing import FORMATS
from modelbuild.chips.load import load_recipe
from modelbuild.npu.compiler import compile_model
from modelbuild.npu.program import decode, encode
from modelbuild.npu.program.transfers import LoadConstants
from tests.arithmetic.dice import Dice
from tests.arithmetic.random_models import BUILDERS
from tests.artifacts.test_packing import packed
from tests.npu.small_models import Maker
from tests.npu.strategies import recipe


def holds(model: FixedModel, command: bytes, weights: bytes) -> None:
    """All convolutions of the model are there, number for number."""
    found = constants("p", command, weights)
    operators = [one for one in model.operators if one.kind in ("conv", "gemm")]
    assert operators
    for operator in operators:
        given = {role: model.constants[name] for role, name in operator.constants.items()}
        codes, bias, factor = (
            np.asarray(found[f"p/{operator.name}/{what}"].load()) for what in ("weights", "bias", "factor")
        )
        assert np.array_equal(codes.reshape(given["weight"].shape), given["weight"])
        assert np.array_equal(bias, given["bias"].reshape(-1))
        assert np.array_equal(
            factor, np.ldexp(given["multiplier"].astype(float), -given["shift"].astype(int))
        )


@pytest.mark.parametrize("kind", ["conv", "gemm"])
@pytest.mark.parametrize("chip", ["kl720", "kl520", "modalix"])
@pytest.mark.parametrize("seed", range(6))
def test_the_numbers_of_a_convolution(kind: str, chip: str, seed: int) -> None:
    model = BUILDERS[kind](Dice(seed))
    compiled = compile_model(model, load_recipe(chip), {})
    holds(model, compiled.command, compiled.weights)


@pytest.mark.parametrize("sram", [1 << 13, 1 << 14, 1 << 16])
@pytest.mark.parametrize("tiling", ["deep", "default"])
def test_convolutions_that_share_a_group(tiling: str, sram: int) -> None:
    """Two of them of one form, so that their setups are the same."""
    maker = Maker(x=(1, 8, 64, 16))
    for name, source, outputs in (("a", "x", 16), ("b", "a", 16), ("c", "b", 16), ("y", "c", 4)):
        maker.conv(name, source, outputs, 3, 1, 1)
    model = maker.model("y")
    dice = np.random.Generator(np.random.PCG64(1))
    drawn = {
        name: dice.integers(-9, 9, values.shape).astype(values.dtype) if name.endswith("/weight") else values
        for name, values in model.constants.items()
    }
    model = dataclasses.replace(model, constants=drawn)
    compiled = compile_model(model, recipe(), {"tiling": tiling, "sram_bytes": sram, "weight_compress": True})
    holds(model, compiled.command, compiled.weights)


def test_more_layers_than_chunks_are_told_apart_or_not_at_all() -> None:
    program = packed("conv", 32768, "kl720").program
    decoded = decode(program.command)
    (layer,) = decoded.interface.layers
    wide = dataclasses.replace(
        layer.outputs[0], shape=(1, 7, *layer.outputs[0].shape[2:]), size=7 * 4 * 8, address=0
    )
    other = dataclasses.replace(
        decoded,
        interface=dataclasses.replace(
            decoded.interface, layers=(dataclasses.replace(layer, outputs=(wide,)),)
        ),
    )
    found = constants("p", encode(other), program.weights)
    assert set(found) == {"p/operator"} and "cannot be told" in found["p/operator"].closed


def test_loads_beyond_the_section_give_bytes_only() -> None:
    program = packed("conv", 32768, "kl720").program
    assert set(constants("p", program.command, program.weights[:-1])) == {"p/operator"}
    assert constants("p", program.command[:-1], program.weights) == {}
    (load,) = (one for one in decode(program.command).instructions if isinstance(one, LoadConstants))
    assert load.length <= len(program.weights)


def test_packages_by_snr(tmp_path: Path) -> None:
    container = load_recipe("kl720").container
    one = packed("conv", 32768, "kl720")
    model = BUILDERS["conv"](Dice(len("conv")))
    changed = {
        name: np.clip(values.astype(int) + 1, -128, 127).astype(values.dtype)
        if name == model.operators[0].constants["weight"]
        else values
        for name, values in model.constants.items()
    }
    compiled = compile_model(
        dataclasses.replace(model, name="conv", constants=changed), load_recipe("kl720"), {}
    )
    program = dataclasses.replace(one.program, command=compiled.command, weights=compiled.weights)
    for name, item in (("a", one), ("b", dataclasses.replace(one, program=program))):
        (data,) = FORMATS["nef"].pack([item], container).values()
        (tmp_path / f"{name}.nef").write_bytes(data)
    found = {item["name"]: item for item in diff(tmp_path / "a.nef", tmp_path / "b.nef")["weights"]}
    entry = found["model 32768/operator/weights"]
    assert entry["max_abs"] == 1.0 and entry["why"] is None and entry["a"]["dtype"] == "int8"
    a = model.constants[model.operators[0].constants["weight"]].astype(float)
    noise = np.sum((changed[model.operators[0].constants["weight"]].astype(float) - a) ** 2)
    assert entry["snr_db"] == pytest.approx(10 * np.log10(np.sum(a * a) / noise))
    assert found["model 32768/operator/bias"]["equal"] and found["model 32768/operator/factor"]["equal"]
    assert "stand as numbers" in found["model 32768/operator"]["why"]
    assert "under its own name" in found["model 32768/weight"]["why"]
