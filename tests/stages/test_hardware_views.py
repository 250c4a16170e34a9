"""Layers that no tile leaves are seen through their parts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from modelbuild.arithmetic.fixed_model import FixedModel
from modelbuild.arithmetic.multiplier_shift import run
from modelbuild.chips.load import load_recipe
from modelbuild.npu.batch_compiler import compile_batch
from modelbuild.npu.batching import widen
from modelbuild.npu.simulator import simulate
from modelbuild.stages import hardware_views
from modelbuild.stages.hardware_views import PartsOf
from tests.npu.small_models import Maker
from tests.npu.strategies import grown, random_inputs
from tests.stages.verified import compiled, held, verified

DEEP = {"tiling": "deep"}


def joined() -> FixedModel:
    """A concat of what stays on the chip, one part of another scale, and a slice and a reshape of it."""
    maker = Maker(x=(1, 4, 8, 8))
    maker.conv("a", "x", 4, 3, 1, 1)
    maker.conv("b", "a", 4, 3, 1, 1)
    maker.concat("c", ["a", "b"], multipliers=(1, 3))
    maker.reshape("r", "c", (1, 8, 1, 64))
    maker.slice("s", "r", (0, 2, 0, 0), (1, 6, 1, 64))
    maker.conv("y", "r", 4)
    maker.conv("z", "s", 4)
    model = maker.model("y", "z")
    rng = np.random.default_rng(0)
    for name, values in model.constants.items():
        if name.endswith("weight"):
            model.constants[name] = rng.integers(-9, 9, values.shape).astype(np.int8)  # type: ignore[index]
        if name.endswith("shift"):
            model.constants[name] = np.full_like(values, 5)  # type: ignore[index]
    return model


def test_every_layer_is_seen(tmp_path: Path) -> None:
    found = verified(joined(), tmp_path, options=DEEP)
    assert found["equal"] is True and found["unseen"] == []
    assert [layer["name"] for layer in found["layers"]] == ["a", "b", "c", "r", "s", "y", "z"]
    told = {layer["name"]: layer for layer in found["layers"]}
    through = {name: layer["through"] for name, layer in told.items() if "through" in layer}
    assert through == {"c": ["a", "c/part1"], "r": ["c"], "s": ["r"]}
    assert told["c"] == {"name": "c", "equal": True, "differing": 0, "through": ["a", "c/part1"]}
    for name in ("r", "s"):  # c is compared, and with that all that they could differ in
        assert told[name].keys() == {"name", "through"}


def test_a_part_that_is_nowhere_else_compared_tells(tmp_path: Path) -> None:
    """The compiler's own rescaling of b, wrong: of the layers c alone shows it first."""
    model = joined()
    operators = tuple(
        replace(one, parameters={**one.parameters, "multipliers": (1, 5)}) if one.kind == "concat" else one
        for one in model.operators
    )
    wrong = compiled(replace(model, operators=operators), options=DEEP)
    found = held(wrong, model, tmp_path)
    assert found["equal"] is False and found["first_difference"]["name"] == "c"
    told = {layer["name"]: layer for layer in found["layers"]}
    assert told["a"]["equal"] and told["b"]["equal"] and not told["c"]["equal"]
    assert told["r"]["differing"] == told["c"]["differing"] > 0


def test_a_batch_is_seen_too(tmp_path: Path) -> None:
    found = verified(joined(), tmp_path, 2, DEEP)
    assert found["equal"] is True
    assert {"r"} <= {layer["name"] for layer in found["layers"]}


def test_they_are_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts laid the other way round are not the fixed model's concat, nor is what lies in it."""
    right = hardware_views._VIEWS["concat"]
    turned = {**hardware_views._VIEWS, "concat": lambda operator, sources: right(operator, sources[::-1])}
    monkeypatch.setattr(hardware_views, "_VIEWS", turned)
    found = verified(joined(), tmp_path, options=DEEP)
    assert found["equal"] is False and found["first_difference"]["name"] == "c"
    assert {layer["name"] for layer in found["layers"] if layer.get("equal") is False} == {"c", "r", "s"}


@pytest.mark.parametrize("seed", range(80))
def test_they_are_the_fixed_models(seed: int) -> None:
    """Of random models, for one picture and for several."""
    for wanted in (None, 2):
        model = grown(seed)
        program, batch = compile_batch(model, load_recipe("kl720"), DEEP, wanted)
        wide = widen(model, batch.achieved).model
        inputs = random_inputs(wide, seed)
        found = simulate(program.command, program.weights, program.host, inputs, keep_layers=True)
        expected = run(wide, inputs, keep="all")
        for name, values in PartsOf(model, batch.achieved).views(inputs, found.layers).values.items():
            assert name not in found.layers
            if name in expected:
                np.testing.assert_array_equal(values, expected[name], err_msg=name)
