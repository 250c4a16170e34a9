"""Activation tables: exact where functions are straight, near where they are not, sound at every end."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelbuild.errors import ModelbuildError
from modelbuild.kpu.quantizing import Expected, Segments, fit_segments
from tests.hypotheses import examples
from tests.kpu.quantizing.oracle import FUNCTIONS, STRAIGHT, code, output, wanted

STEP = 2.0**-20  # of the output's, a step of a value


def places(low: int, high: int, count: int = 40_001) -> np.ndarray:
    return np.unique(np.rint(np.linspace(low, high, count)).astype(np.int64))


def scores(table: Segments, function, v_scale, y, values) -> tuple[float, int]:  # type: ignore[no-untyped-def]
    """What the table adds to the mean squared error of rounding, and the most it is off, in steps."""
    exact, made = wanted(function, values, v_scale, y), table.codes(values).astype(float)
    rounded = np.rint(exact)
    added = np.mean((made - exact) ** 2) - np.mean((rounded - exact) ** 2)
    return float(added), int(np.abs(made - rounded).max())


@given(
    start=st.lists(st.integers(-(1 << 35), 1 << 35), min_size=15, max_size=15),
    rows=st.lists(
        st.tuples(st.integers(-32767, 32767), st.integers(0, 43), st.integers(0, 255)),
        min_size=16,
        max_size=16,
    ),
    values=st.lists(st.integers(1 - (1 << 35), (1 << 35) - 1), min_size=1, max_size=20),
)
def test_codes_are_those_of_the_chip(start, rows, values) -> None:  # type: ignore[no-untyped-def]
    factors, shifts, adds = zip(*rows, strict=True)
    table = Segments(
        np.array([-(1 << 35), *sorted(start)], np.int64),
        np.array(factors, np.int16),
        np.array(shifts, np.uint8),
        np.array(adds, np.uint8),
    )
    assert table.codes(np.array(values)).tolist() == [code(table.constants(), value) for value in values]


@pytest.mark.parametrize("name", ["identity", "relu", "relu6", "clip", "moved"])
@pytest.mark.parametrize("bounds", [(-2.0, 3.0), (0.0, 6.0), (-0.5, 8.0), (-30.0, 1.0)])
def test_functions_of_lines_are_exact(name: str, bounds: tuple[float, float]) -> None:
    """But for values that lie within a millionth of half way between two bytes."""
    y, function = output(*bounds), STRAIGHT[name]
    v_scale = y.scale * STEP
    low, high = -(1 << 33), 1 << 33
    table = fit_segments(function, low, high, v_scale, y)
    values = np.concatenate([places(low, high), places(int(-8 / v_scale), int(8 / v_scale))])
    exact = wanted(function, values, v_scale, y)
    made = table.codes(values)
    clear = np.abs(exact % 1 - 0.5) > 2e-6
    assert clear.mean() > 0.99
    assert np.array_equal(made[clear], np.rint(exact[clear]))
    assert np.abs(made - exact).max() < 0.5 + 4e-6


@pytest.mark.parametrize(
    ("name", "middle", "width"),
    [
        ("exp", -4.835275261602154, 0.7869718122515785),
        ("exp", -0.367693294589525, 0.9051985299070284),
        ("elu", -5.775193494311422, 0.8563186670541663),
    ],
)
def test_curves_that_end_steeply_stay_curves(name: str, middle: float, width: float) -> None:
    """Where few values are expected sums cancel: what was left of them made a line of any slope."""
    function = FUNCTIONS[name]
    y = output(-1.0 if name == "elu" else 0.0, float(function(np.float64(middle + 4 * width))))
    v_scale = y.scale * 2.0**-14
    ends = int((middle - 12 * width) / v_scale), int((middle + 12 * width) / v_scale)
    table = fit_segments(function, *ends, v_scale, y, Expected(np.array([middle]), np.array([width])))
    drawn = np.clip(np.random.default_rng(0).standard_normal(20_000), -4, 4)
    values = np.rint((middle + width * drawn) / v_scale).astype(np.int64)
    assert np.mean((table.codes(values) - wanted(function, values, v_scale, y)) ** 2) < 2


@pytest.mark.parametrize("name", ["leaky", "hard_sigmoid"])
def test_slopes_that_are_no_powers_of_two_cost_next_to_nothing(name: str) -> None:
    y, function = output(-1.5, 6.0), STRAIGHT[name]
    v_scale = y.scale * STEP
    table = fit_segments(function, int(-20 / v_scale), int(20 / v_scale), v_scale, y)
    values = places(int(-20 / v_scale), int(20 / v_scale), 400_001)
    exact = wanted(function, values, v_scale, y)
    made = table.codes(values)
    assert np.abs(made - exact).max() < 0.5 + 0.001  # wrong only so near to half way
    assert np.mean(made != np.rint(exact)) < 5e-4


# What is added to 1/12 of a step squared, which rounding costs: of the chip's fits, no better are known.
CURVES = {
    "silu": (-8.0, 8.0, 0.010),
    "sigmoid": (-8.0, 8.0, 0.040),
    "tanh": (-4.0, 4.0, 0.035),
    "hard_swish": (-6.0, 8.0, 0.022),
    "elu": (-6.0, 6.0, 0.001),
    "mish": (-8.0, 8.0, 0.006),
    "softplus": (-8.0, 8.0, 0.002),
    "exp": (-3.0, 3.0, 0.025),
}


@pytest.mark.parametrize("wide", [1, 40])
@pytest.mark.parametrize("name", CURVES)
def test_curves_are_near(name: str, wide: int) -> None:
    """Also where values may reach far beyond the part that matters."""
    low, high, most = CURVES[name]
    function = FUNCTIONS[name]
    x = np.linspace(low, high, 10_001)
    y = output(function(x).min(), function(x).max())
    v_scale = y.scale * STEP
    v_scale *= 2.0 ** max(0, math.ceil(math.log2(wide * max(-low, high) / v_scale / 2**34)))
    ends = int(wide * low / v_scale), int(wide * high / v_scale)
    table = fit_segments(function, *ends, v_scale, y)
    added, worst = scores(table, function, v_scale, y, places(int(low / v_scale), int(high / v_scale)))
    assert added < most
    assert worst <= 1
    assert scores(table, function, v_scale, y, places(*ends))[1] <= 1


def test_what_falls_is_within_two_steps() -> None:
    for function in (lambda x: -x, np.abs, lambda x: x * x, lambda x: np.exp(-x * x)):
        y = output(-3.0, 9.0)
        v_scale = y.scale * STEP
        ends = int(-3 / v_scale), int(3 / v_scale)
        table = fit_segments(function, *ends, v_scale, y)
        added, worst = scores(table, function, v_scale, y, places(*ends))
        assert worst <= 2
        assert added < 0.75


@examples(60)
@given(
    name=st.sampled_from(sorted({**FUNCTIONS, **STRAIGHT})),
    low=st.floats(-20, 0),
    span=st.floats(0.05, 40),
    power=st.integers(-22, -6),
    gain=st.floats(0.01, 4),
    reach=st.floats(0.1, 200),
    turned=st.booleans(),
)
def test_any_range(name, low, span, power, gain, reach, turned) -> None:  # type: ignore[no-untyped-def]
    """Whatever the formats, a table is one of the chip's and at most two steps off; steps of values that are
    coarse beside the output's may jump by what they jump."""
    base = {**FUNCTIONS, **STRAIGHT}[name]

    def function(x):  # type: ignore[no-untyped-def]
        return base(gain * x)

    y = output(low, low + span)
    v_scale = y.scale * 2.0**power * (-1 if turned else 1)
    end = min(int(reach / abs(v_scale)), (1 << 35) - 1)
    table = fit_segments(function, -end, end, v_scale, y)
    assert table.start[0] == -(1 << 35)
    assert (np.diff(table.start) >= 0).all()
    assert table.shift.max() <= 43
    values = places(-end, end, 4001)
    exact = wanted(function, values, v_scale, y)
    assert np.abs(table.codes(values) - exact).max() < 2.6


def test_what_is_expected_says_where_errors_count() -> None:
    """The part of silu that falls, where nearly all values lie, is fitted better, the rest worse."""
    function = FUNCTIONS["silu"]
    y = output(-0.3, 1.5)
    v_scale = y.scale * STEP
    ends = int(-8 / v_scale), int(8 / v_scale)
    seen = Expected(np.array([-2.0]), np.array([0.5]))
    values = places(int(-3 / v_scale), int(-1 / v_scale))
    even, weighted = (fit_segments(function, *ends, v_scale, y, found) for found in (None, seen))
    errors = [scores(table, function, v_scale, y, values)[0] for table in (even, weighted)]
    assert errors[1] < 0.8 * errors[0]


def test_an_offset_moves_lines_and_leaves_constants() -> None:
    y = output(0.0, 6.0)
    v_scale = y.scale * STEP
    table = fit_segments(STRAIGHT["relu"], -(1 << 30), 1 << 30, v_scale, y, offset=0.375)
    values = np.arange(1, 200, dtype=np.int64) * (1 << 20)
    assert table.codes(values + (1 << 17) - 2).tolist() == list(range(1, 200))  # just below the half
    assert table.codes(values + (1 << 17) + 2).tolist() == list(range(2, 201))
    assert set(table.codes(-values).tolist()) == {0}


def test_the_same_numbers_every_time() -> None:
    y = output(-0.3, 8.0)
    first, second = (fit_segments(FUNCTIONS["silu"], -(1 << 30), 1 << 30, y.scale / 2**20, y) for _ in "ab")
    for role, numbers in first.constants().items():
        assert np.array_equal(numbers, second.constants()[role])


def test_a_function_of_one_byte() -> None:
    y = output(0.0, 1.0)
    table = fit_segments(lambda x: 0 * x + 0.3, -1000, 1000, 0.001, y)
    assert set(table.codes(np.arange(-1000, 1001)).tolist()) == {round(0.3 * 255)}


def test_a_jump_is_where_it_belongs() -> None:
    y = output(0.0, 1.0)
    table = fit_segments(lambda x: np.where(x > 1.25, 1.0, 0.0), -(1 << 30), 1 << 30, 2.0**-20, y)
    at = int(1.25 * 2**20)
    assert table.codes(np.array([at - 1, at, at + 1])).tolist() == [0, 0, 255]


def test_errors_say_what_does_not_fit() -> None:
    y = output(0.0, 1.0)
    with pytest.raises(ModelbuildError, match="36 bits"):
        fit_segments(lambda x: x, -(1 << 35), 0, 1.0, y)
    with pytest.raises(ModelbuildError, match="no number at -"):
        fit_segments(np.log, -1000, 1000, 0.01, y)
