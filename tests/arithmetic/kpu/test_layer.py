"""KPU layers worked out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelbuild.arithmetic.binding import bind
from modelbuild.arithmetic.fixed_model import FixedModel
from modelbuild.arithmetic.kpu import layer, reach, run
from modelbuild.arithmetic.kpu.pools import STRIDES
from modelbuild.arithmetic.kpu.shapes import SEGMENTS
from modelbuild.arithmetic.kpu.validation import MAX_SHIFT
from modelbuild.errors import ModelbuildError
from modelbuild.formats.kmodel import kpu_registers, kpu_tables
from tests.arithmetic.dice import Dice
from tests.arithmetic.kpu import cases, made, oracle
from tests.arithmetic.kpu.made import byte_tensor, one
from tests.hypotheses import examples

LOWEST = -(1 << 35)


def identity(
    weight: Any,
    shape: tuple[int, ...] = (1, 1, 4, 4),
    segments: Any = ((LOWEST, 0, 0, 0), (0, 1, 0, 0)),
    pool: str = "bypass",
    zero: int = 0,
) -> FixedModel:
    """A layer with centred weights that gives its sums where they are bytes. `segments`: start, multiplier,
    shift, add of the first ones; the rest begin above everything."""
    weight = np.asarray(weight, np.uint8)
    kernel, count = weight.shape[-1], len(weight)
    parameters = {
        "kernel": kernel,
        "depthwise": 0,
        "pool": pool,
        "pad_value": zero,
        "arg_x": -128,
        "shift_x": 0,
        "arg_w": -zero,
        "shift_w": 0,
        "arg_add": kernel * kernel * 128 * zero,
    }
    rest = [((1 << 35) - 1, 0, 0, 0)] * (16 - len(segments))
    start, multiplier, shift, add = zip(*segments, *rest, strict=True)
    constants = {
        "weight": weight,
        "bn_multiplier": np.ones(count, np.int32),
        "bn_add": np.zeros(count, np.int32),
        "bn_shift": np.zeros(count, np.uint8),
        "segment_start": np.array(start, np.int64),
        "segment_multiplier": np.array(multiplier, np.int16),
        "segment_shift": np.array(shift, np.uint8),
        "segment_add": np.array(add, np.uint8),
    }
    stride = STRIDES[pool]
    out = (shape[0], count, shape[2] // stride, shape[3] // stride)
    return one("kpu_conv", [byte_tensor("x", shape), byte_tensor("y", out)], parameters, constants)


def answer(model: FixedModel, x: Any) -> Any:
    return run(model, {"x": np.asarray(x, np.uint8)})["y"].tolist()


def test_a_weight_of_one_gives_the_input() -> None:
    x = np.arange(16).reshape(1, 1, 4, 4)
    assert answer(identity([[[[129]]]]), x) == x.tolist()


def test_a_3x3_layer_sees_the_zero_point_around_the_picture() -> None:
    """All weights 1, zero point 10: sums of (x - 10) over the neighbourhood."""
    x = np.full((1, 1, 4, 4), 12)
    expected = [[[[8, 12, 12, 8], [12, 18, 18, 12], [12, 18, 18, 12], [8, 12, 12, 8]]]]
    assert answer(identity(np.full((1, 1, 3, 3), 129), zero=10), x) == expected


def test_batch_normalization_takes_the_floor_before_it_adds() -> None:
    model = identity([[[[129]]]], (1, 1, 1, 4), [(LOWEST, 0, 0, 0), (-99, 1, 0, 0)])
    model.constants["c/bn_multiplier"][:] = -3
    model.constants["c/bn_shift"][:] = 1
    model.constants["c/bn_add"][:] = 5
    # floor(-3x/2) + 5 is 5, 3, 2, 0; less the start -99
    assert answer(model, [[[[0, 1, 2, 3]]]]) == [[[[104, 102, 101, 99]]]]


def test_the_start_of_a_segment_belongs_to_the_one_before() -> None:
    segments = [(LOWEST, 0, 0, 7), (4, 1, 0, 100), (6, 1, 0, 200)]
    model = identity([[[[129]]]], (1, 1, 1, 5), segments)
    assert answer(model, [[[[3, 4, 5, 6, 7]]]]) == [[[[7, 7, 101, 102, 201]]]]


def test_rounding_goes_to_even_and_negative_numbers_further_down() -> None:
    """v / 4 of 1 to 7, and -v / 4: of -0.25 the floor is -1 and the rest 0.75, so it is -2; so is -0.5, whose
    floor is odd; of -0.75 the rest is 0.25, so it is -1."""
    up = identity([[[[129]]]], (1, 1, 1, 7), [(LOWEST, 0, 0, 0), (0, 1, 2, 10)])
    assert answer(up, [[[[1, 2, 3, 4, 5, 6, 7]]]]) == [[[[10, 10, 11, 11, 11, 12, 12]]]]
    down = identity([[[[129]]]], (1, 1, 1, 7), [(LOWEST, 0, 0, 0), (0, -1, 2, 10)])
    assert answer(down, [[[[1, 2, 3, 4, 5, 6, 7]]]]) == [[[[8, 8, 9, 9, 7, 8, 8]]]]


@examples(300)
@given(value=st.integers(-(1 << 52), 1 << 52), shift=st.integers(0, 43))
def test_two_floors_less_the_nearest_is_the_rounding_of_negative_numbers(value: int, shift: int) -> None:
    real = np.ldexp(np.float64(value), -shift)
    found = np.rint(real) if value >= 0 else 2 * np.floor(real) - np.rint(real)
    assert int(found) == oracle.carry_shift(value, shift)


@pytest.mark.parametrize(
    ("pool", "expected"),
    [
        ("max_2_s2", [[5, 9], [14, 15]]),
        ("mean_2_s2", [[2, 6], [11, 12]]),
        ("left_top_2_s2", [[0, 2], [8, 10]]),
        ("right_top_2_s2", [[1, 9], [14, 11]]),
        ("max_4_s4", [[15]]),
        ("mean_4_s4", [[8]]),
        ("left_top_4_s4", [[0]]),
        ("max_2_s1", [[5, 6, 9, 9], [14, 14, 11, 11], [14, 14, 15, 15], [13, 14, 15, 15]]),
        ("mean_2_s1", [[2, 3, 6, 8], [7, 8, 8, 9], [11, 12, 12, 13], [12, 13, 14, 15]]),
    ],
)
def test_pools(pool: str, expected: Any) -> None:
    x = np.arange(16).reshape(1, 1, 4, 4)
    x[0, 0, 0, 3], x[0, 0, 2, 1] = 9, 14
    assert answer(identity([[[[129]]]], pool=pool), x)[0][0] == expected


def test_a_pool_leaves_rows_and_columns_away_that_fill_no_window() -> None:
    model = identity([[[[129]]]], (1, 1, 5, 7), pool="max_2_s2")
    x = np.zeros((1, 1, 5, 7))
    x[..., 4, :] = x[..., :, 6] = 255
    assert answer(model, x) == [[[[0, 0, 0]] * 2]]


def test_a_sum_of_a_thousand_channels_is_exact() -> None:
    """255 * 127 * 1024 * 9 is above 2^24: the last bit counts all the same."""
    weight = np.full((2, 1024, 3, 3), 255)
    weight[1, 0, 1, 1] = 254
    top = 255 * 127 * 1024 * 9
    segments = [(LOWEST, 0, 0, 0), (top - 256, 1, 0, 0)]
    model = identity(weight, (1, 1024, 4, 4), segments, zero=0)
    found = answer(model, np.full((1, 1024, 4, 4), 255))
    assert found[0][0][1][1] == 255 and found[0][1][1][1] == 1


def test_values_at_the_ends_of_36_bits_keep_their_last_bit() -> None:
    """Sums of 128 steps of 255, times 2^20 and more: v from -2^35 + 1 on."""
    model = identity([[[[0]], [[1]]]], (1, 2, 1, 4), [(LOWEST, 0, 0, 0), (LOWEST + 1, 1, 0, 0)])
    model.constants["c/bn_multiplier"][:] = -((1 << 20) + 1)
    model.constants["c/bn_add"][:] = -(1 << 31)
    x = np.array([[[[0, 1, 255, 255]], [[0, 0, 0, 255]]]])
    # sums 0, -128, -32640 and -65025, times -(2^20 + 1), less 2^31: the last is 2^35 + ..., so it is refused
    with pytest.raises(ModelbuildError, match="the value after batch normalization of channel 0 may reach"):
        answer(model, x)
    model.constants["c/bn_multiplier"][:] = -(1 << 19) + 1
    model.constants["c/segment_start"][2:] = 65025 * ((1 << 19) - 1) - (1 << 31) - 7
    model.constants["c/segment_multiplier"][2:] = 1
    assert answer(model, x)[0][0][0] == [255, 255, 255, 7]


@examples(60)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_reach_holds_for_any_bytes(seed: int) -> None:
    """Bytes that are 0 or 255 by the sign of each factor reach the ends; none goes beyond."""
    dice = Dice(seed)
    model = cases.layer(dice, shape=(1, 3, 5, 5), kernel=3, depthwise=0, pool="bypass", outputs=1)
    bound = bind(model, model.operators[0])
    p, weight = model.operators[0].parameters, model.constants["c/weight"].astype(int)[0]
    low, high = (int(end[0]) for end in reach.of_sums(bound))
    sums = []
    for kind in ("low", "high", "random"):
        x = dice.rng.integers(0, 256, weight.shape)
        if kind != "random":
            x = np.where((weight + p["arg_x"] > 0) == (kind == "high"), 255, 0)
        total = int((x * weight).sum()) + (p["arg_x"] * int(x.sum()) >> p["shift_x"])
        sums.append(total + (p["arg_w"] * int(weight.sum()) >> p["shift_w"]) + p["arg_add"] * 3)
    assert low <= min(sums) and max(sums) <= high
    if not p["shift_x"]:
        assert (low, high) == (sums[0], sums[1])


@pytest.mark.parametrize("block", [1, 7, 1 << 20])
def test_blocks_of_any_size_give_the_same(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layer, "PIECE", block)
    for seed in range(40):
        dice = Dice(seed)
        model = cases.layer(dice)
        inputs = made.inputs(dice, model)
        np.testing.assert_array_equal(run(model, inputs)["y"], oracle.run(model, inputs)["y"])


def test_the_tables_are_those_of_the_format() -> None:
    pools = {name: kpu_registers.POOL_STRIDES[number] for number, name in kpu_registers.POOLS.items()}
    assert pools == STRIDES == {name: stride for name, (_, stride, _) in oracle.POOLS.items()}
    assert (kpu_tables.SEGMENTS, kpu_tables.MAX_SHIFT) == (SEGMENTS, MAX_SHIFT)
