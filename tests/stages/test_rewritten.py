"""A program whose compiler put one operator in the place of two is held against the model as it was."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from modelbuild.arithmetic.fixed_model import FixedModel, FixedOperator
from tests.arithmetic.dice import Dice
from tests.stages.verified import compiled, held, verified


def enlarged() -> FixedModel:
    """A picture of twice the height and width by the nearest cell: a gather along each axis."""
    x = Dice(1).tensor("x", (1, 2, 3, 4))
    rows, both = (
        replace(x, name=name, shape=shape) for name, shape in (("r", (1, 2, 6, 4)), ("y", (1, 2, 6, 8)))
    )
    indices = {axis: np.repeat(np.arange(size, dtype=np.int32), 2) for axis, size in ((2, 3), (3, 4))}
    operators = tuple(
        FixedOperator("gather", f"g{axis}", (source,), (target,), {"axis": axis}, {"indices": f"c{axis}"})
        for axis, source, target in ((2, "x", "r"), (3, "r", "y"))
    )
    constants = {f"c{axis}": values for axis, values in indices.items()}
    tensors = {tensor.name: tensor for tensor in (x, rows, both)}
    return FixedModel("big", "multiplier_shift@1", "test", ("x",), ("y",), tensors, constants, operators)


def test_what_is_not_in_the_program_is_told(tmp_path: Path) -> None:
    for name, batch in (("one", None), ("four", 4)):
        (tmp_path / name).mkdir()
        found = verified(enlarged(), tmp_path / name, batch)
        assert (found["equal"], found["samples"], found["unseen"]) == (True, 3, ["r"])
        assert [layer["name"] for layer in found["layers"]] == ["y"]


def test_what_is_in_the_program_counts_all_the_same(tmp_path: Path) -> None:
    model = enlarged()
    shifted = {**model.constants, "c3": np.array([0, 1, 1, 2, 2, 3, 3, 3], np.int32)}
    found = held(compiled(replace(model, constants=shifted)), model, tmp_path)
    assert found["equal"] is False and found["first_difference"]["name"] == "y"
