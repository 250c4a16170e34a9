"""Rewriting changes no integer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given

from modelbuild.arithmetic.fixed_model import FixedModel
from modelbuild.arithmetic.multiplier_shift import run
from modelbuild.npu.rewriting import joined, nearest, rewritten, transposed
from tests.hypotheses import examples
from tests.npu.small_models import Maker
from tests.npu.strategies import grown, random_inputs, seeds


def zeros_between(maker: Maker, source: str, step: tuple[int, int], value: int = 0) -> str:
    n, c, h, w = maker.tensors[source].shape
    down, right = step
    maker.reshape("open", source, (n, c, h, 1, w, 1))
    after = (0, 0, 0, down - 1, 0, right - 1)
    maker.add(
        "pad", "stuffed", ["open"], (n, c, h, down, w, right), before=(0,) * 6, after=after, value=value
    )
    maker.reshape("spread", "stuffed", (n, c, h * down, w * right))
    return maker.slice("trimmed", "spread", (0,) * 4, (n, c, (h - 1) * down + 1, (w - 1) * right + 1))


def kinds(model: FixedModel) -> list[str]:
    return [operator.kind for operator in model.operators]


def test_a_transposed_convolution_is_one_operator() -> None:
    maker = Maker(x=(1, 2, 3, 4))
    maker.conv("a", "x", 2)
    maker.conv("y", zeros_between(maker, "a", (2, 3)), 5, 3, 1, 1)
    model = maker.model("y")
    found = transposed.fold(model)
    assert kinds(found) == ["conv", "conv"] and set(found.tensors) == {"x", "a", "y"}
    last = found.operators[-1]
    assert last.inputs == ("a",) and last.parameters["input_step"] == (2, 3)
    assert {**last.parameters, "input_step": 0} == {**model.operators[-1].parameters, "input_step": 0}


def test_zeros_that_another_sees_or_that_are_no_zeros_stay() -> None:
    maker = Maker(x=(1, 2, 3, 4))
    maker.conv("y", zeros_between(maker, "x", (2, 2)), 5)
    assert transposed.fold(maker.model("y", "spread")) is not None
    assert len(transposed.fold(maker.model("y", "spread")).operators) == 5
    maker = Maker(x=(1, 2, 3, 4))
    maker.conv("y", zeros_between(maker, "x", (2, 2), value=1), 5)
    assert len(transposed.fold(maker.model("y")).operators) == 5


@examples(150)
@given(seed=seeds)
def test_random_models_keep_their_integers(seed: int) -> None:
    model = grown(seed)
    found = joined.fold(nearest.fold(model))
    inputs = random_inputs(model, seed)
    before, after = run(model, inputs, keep="all"), run(found, inputs, keep="all")
    for name in set(before) & set(after):
        np.testing.assert_array_equal(before[name], after[name], err_msg=name)
    assert set(model.outputs) <= set(after)
    whole = rewritten(model)
    assert whole.outputs == model.outputs and set(whole.inputs) == set(model.inputs)
    made = {*whole.inputs, *whole.constants, *(name for it in whole.operators for name in it.outputs)}
    assert all(name in made for operator in whole.operators for name in operator.inputs)


def test_repeated_rows_and_columns_are_one_resize() -> None:
    maker = Maker(x=(1, 2, 3, 4))
    maker.conv("a", "x", 2)
    rows, columns = np.repeat(np.arange(3, dtype=np.int32), 2), np.repeat(np.arange(4, dtype=np.int32), 2)
    maker.add("gather", "b", ["a"], (1, 2, 6, 4), axis=2, indices=rows)
    maker.add("gather", "c", ["b"], (1, 2, 6, 8), axis=3, indices=columns)
    maker.add("gather", "d", ["c"], (1, 3, 6, 8), axis=1, indices=np.array([1, 1, 0], np.int32))
    found = nearest.fold(maker.model("d"))
    assert kinds(found) == ["conv", "resize_linear", "gather"] and "b" not in found.tensors
    assert found.constants[found.operators[1].constants["rows"]][:, 0].tolist() == rows.tolist()
    back = maker.model("d")
    turned = replace(
        back,
        constants={**back.constants, "c/indices": np.ascontiguousarray(columns[::-1]), "b/indices": rows},
    )
    assert kinds(nearest.fold(turned)) == ["conv", "resize_linear", "gather", "gather"]


def test_only_inputs_of_another_scale_get_a_rescale() -> None:
    maker = Maker(x=(1, 2, 3, 4))
    maker.conv("a", "x", 2)
    maker.conv("b", "x", 3)
    maker.concat("y", ["a", "b"], multipliers=(1, 3))
    found = joined.fold(maker.model("y"))
    assert kinds(found) == ["conv", "conv", "rescale", "concat"]
    assert found.operators[-1].inputs == ("a", "y/part1") and found.operators[-1].parameters[
        "multipliers"
    ] == (1, 1)
    maker = Maker(x=(2, 2, 3, 4))
    maker.conv("a", "x", 2)
    maker.concat("y", ["a", "x"], multipliers=(1, 3))
    assert kinds(joined.fold(maker.model("y"))) == ["conv", "concat"]
