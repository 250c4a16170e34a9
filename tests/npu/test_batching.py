"""Models for several pictures a run: the widened model makes of stacked inputs the stacked outputs."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelbuild.arithmetic.fixed_model import FixedModel, FixedOperator, Integers, Parameter
from modelbuild.arithmetic.multiplier_shift import run
from modelbuild.arithmetic.validation import validate
from modelbuild.npu.batching import CODE, Batched, own_batch, widen
from tests.arithmetic.dice import Dice
from tests.arithmetic.random_models import BUILDERS
from tests.hypotheses import examples
from tests.npu.strategies import grown_models, random_inputs, seeds, single_operators


def stacked(model: FixedModel, seed: int, count: int) -> dict[str, Integers]:
    """Inputs of `count` rows."""
    wide = replace(
        model,
        tensors={n: replace(t, shape=(count, *t.shape[1:])) for n, t in model.tensors.items() if t.shape},
    )
    return random_inputs(wide, seed)


def assert_row_by_row(model: FixedModel, found: Batched, seed: int) -> None:
    """Every row of every tensor is what the model itself makes of that row."""
    own, count = own_batch(model), found.achieved
    assert own is not None
    validate(found.model)
    inputs = stacked(model, seed, count)
    together = run(found.model, inputs, keep="all")
    for row in range(count):
        alone = run(model, {n: np.repeat(v[row : row + 1], own, 0) for n, v in inputs.items()}, keep="all")
        for operator in model.operators:
            for name in operator.outputs:
                if found.model.tensors[name].shape != model.tensors[name].shape:
                    np.testing.assert_array_equal(together[name][row], alone[name][0], err_msg=name)
    for name in model.outputs:
        assert together[name].shape == (count, *model.tensors[name].shape[1:])


@pytest.mark.parametrize("kind", sorted(BUILDERS))
@examples(40)
@given(data=st.data(), seed=seeds, wanted=st.integers(1, 4))
def test_each_operator_row_by_row_or_not_at_all(
    kind: str, data: st.DataObject, seed: int, wanted: int
) -> None:
    model = data.draw(single_operators(kind))
    found = widen(model, wanted)
    if found.reasons:
        assert found.model is model
        assert found.achieved == (own_batch(model) or 1)
        assert {reason.code for reason in found.reasons} == {CODE}
    else:
        assert found.achieved == wanted
        if wanted != own_batch(model):
            assert_row_by_row(model, found, seed)


@examples(150)
@given(model=grown_models(), seed=seeds, wanted=st.integers(2, 5))
def test_whole_models_row_by_row_or_not_at_all(model: FixedModel, seed: int, wanted: int) -> None:
    found = widen(model, wanted)
    assert bool(found.reasons) == (found.achieved != wanted)
    if not found.reasons and wanted != own_batch(model):
        assert_row_by_row(model, found, seed)


def test_most_operators_can_be_widened() -> None:
    """The property above says something: all kinds are widened now and then, most of them most times."""
    widened = Counter(
        kind
        for kind, build in BUILDERS.items()
        for seed in range(40)
        if not widen(build(Dice(seed)), 3).reasons
    )
    assert set(widened) == set(BUILDERS)
    assert all(widened[kind] == 40 for kind in ("conv", "gemm", "max_pool", "resize_linear", "prelu"))


def chain(*operators: FixedOperator, shapes: dict[str, tuple[int, ...]]) -> FixedModel:
    dice = Dice(1)
    like = dice.tensor("x", (1,))
    tensors = {name: replace(like, name=name, shape=shape) for name, shape in shapes.items()}
    constants = {
        name: dice.rng.integers(0, 5, shape).astype(like.dtype)
        for name, shape in shapes.items()
        if name.startswith("c")
    }
    return FixedModel(
        "chain",
        "multiplier_shift@1",
        "test",
        ("x",),
        (operators[-1].outputs[0],),
        tensors,
        constants,
        operators,
    )


ADD: dict[str, Parameter] = {
    "input_zero": 0,
    "other_zero": 0,
    "input_multiplier": 1,
    "other_multiplier": 1,
    "shift": 1,
}
ADD |= {"output_zero": 0, "low": 0, "high": 100}
JOIN: dict[str, Parameter] = {
    "axis": 1,
    "input_zeros": (0, 0),
    "multipliers": (1, 1),
    "shifts": (0, 0),
    "output_zero": 0,
}
JOIN |= {"low": 0, "high": 100}


@pytest.mark.parametrize(
    ("operator", "shapes", "said"),
    [
        (
            FixedOperator("reshape", "r", ("x",), ("y",), {"shape": (6,)}, origin=("Flatten_3",)),
            {"x": (1, 2, 3), "y": (6,)},
            "`Flatten_3` (reshape) folds dimension 0: [1, 2, 3] becomes [6]",
        ),
        (
            FixedOperator("transpose", "t", ("x",), ("y",), {"perm": (1, 0, 2)}),
            {"x": (1, 1, 3), "y": (1, 1, 3)},
            "`t` (transpose) moves dimension 0: perm [1, 0, 2]",
        ),
        (
            FixedOperator("add", "a", ("x", "c"), ("y",), ADD),
            {"x": (2, 3), "c": (2, 3), "y": (2, 3)},
            "`a` (add) has a constant with dimension 0: `c` [2, 3]",
        ),
        (
            FixedOperator("add", "a", ("x", "c"), ("y",), ADD),
            {"x": (1, 3), "c": (1, 3, 3), "y": (1, 3, 3)},
            "`a` (add) puts the batch of [1, 3] behind dimension 0",
        ),
        (
            FixedOperator("reduce_max", "m", ("x",), ("y",), {"axes": (0, 1), "keepdims": 1}),
            {"x": (1, 2, 3), "y": (1, 1, 3)},
            "`m` (reduce_max) reduces dimension 0",
        ),
        (
            FixedOperator("gather", "g", ("x",), ("y",), {"axis": 0}, {"indices": "ci"}),
            {"x": (1, 2), "y": (1, 2)},
            "`g` (gather) works along dimension 0",
        ),
        (
            FixedOperator("pad", "p", ("x",), ("y",), {"before": (1, 0), "after": (0, 0), "value": 0}),
            {"x": (1, 2), "y": (2, 2)},
            "`p` (pad) folds dimension 0: [1, 2] becomes [2, 2]",
        ),
        (
            FixedOperator("matmul", "p", ("c", "x"), ("y",)),
            {"x": (3, 4), "c": (3, 3), "y": (3, 4)},
            "`p` (matmul) multiplies by a matrix that depends on the picture: [3, 4]",
        ),
        (
            FixedOperator("opaque", "NonMaxSuppression_1", ("x",), ("y",)),
            {"x": (1, 2), "y": (1, 2)},
            "`NonMaxSuppression_1` (opaque) is no operator that is known to keep dimension 0",
        ),
    ],
)
def test_what_stands_in_the_way_is_named(
    operator: FixedOperator, shapes: dict[str, tuple[int, ...]], said: str
) -> None:
    found = widen(chain(operator, shapes=shapes), 4)
    (reason,) = found.reasons
    assert reason.message == said
    assert (reason.node, reason.severity) == ((operator.origin or (operator.name,))[0], "warning")
    assert reason.advice
    assert found.achieved == shapes["x"][0]


def test_every_obstacle_is_told_in_one_run() -> None:
    first = FixedOperator("reshape", "one", ("x",), ("y",), {"shape": (6,)})
    second = FixedOperator("reshape", "two", ("y",), ("z",), {"shape": (1, 6)})
    third = FixedOperator("reshape", "three", ("z",), ("w",), {"shape": (2, 3)})
    found = widen(
        chain(first, second, third, shapes={"x": (1, 2, 3), "y": (6,), "z": (1, 6), "w": (2, 3)}), 2
    )
    assert [reason.node for reason in found.reasons] == ["one", "two", "three"]


def test_a_constant_part_is_repeated_for_every_picture() -> None:
    join = FixedOperator("concat", "j", ("x", "c"), ("y",), JOIN)
    model = chain(join, shapes={"x": (1, 2), "c": (1, 3), "y": (1, 5)})
    found = widen(model, 3)
    assert (found.achieved, found.reasons) == (3, ())
    assert_row_by_row(model, found, 7)
    assert model.constants["c"].shape == (1, 3)


def test_inputs_without_a_batch_in_common() -> None:
    join = FixedOperator("add", "a", ("x", "v"), ("y",), ADD)
    model = chain(join, shapes={"x": (1, 2), "v": (2,), "y": (1, 2)})
    found = widen(replace(model, inputs=("x", "v")), 3)
    (reason,) = found.reasons
    assert reason.message == "the inputs have no batch in common: `x` [1, 2], `v` [2]"
    assert found.achieved == 1


def test_the_models_own_batch_changes_nothing() -> None:
    model = chain(
        FixedOperator("reshape", "r", ("x",), ("y",), {"shape": (6,)}), shapes={"x": (1, 6), "y": (6,)}
    )
    assert widen(model, 1) == Batched(model, 1)
