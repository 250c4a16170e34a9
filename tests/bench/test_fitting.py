"""The fit: it finds what made the times, and what is left out has no say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bench import fitting
from bench.constants import CENTRES, CHIPS, chip
from bench.counts import KINDS, Constants, Counts
from bench.fitting import Fit, Floats, Problem, Row, fit_all, fit_own, least_soft, predicted

CHIPS_OF = [chip(name) for name in CHIPS]
MACS = 512.0


def counts(seed: int, most: str) -> Counts:
    """Mostly work of one kind, so that every constant shows in some network."""
    rng = np.random.default_rng(seed)
    sizes = {kind: 4_000_000 if kind == most else 40_000 for kind in KINDS}
    tally = {
        (kind, int(rng.integers(1_000, size)), int(rng.integers(1, 9)) if kind in KINDS[:3] else 0): 3
        for kind, size in sizes.items()
        for _ in range(4)
    }
    return Counts.of(tally, int(rng.integers(5, 500)))


def problem(truth: Fit) -> Problem:
    rows = []
    for number in range(9):
        for one in CHIPS_OF:
            made = counts(10 * number + CHIPS.index(one.name), KINDS[number % len(KINDS)])
            row = Row(f"net{number}", one.name, made, 1.0)
            time = predicted(Problem(CHIPS_OF, [row], MACS), truth, row)
            rows.append(replace(row, milliseconds=time))
    return Problem(CHIPS_OF, rows, MACS)


def truth(**own: float) -> Fit:
    """The centres for all, and own constants so many times those."""
    of_chips = {}
    for one in CHIPS_OF:
        base = {**CENTRES, "macs": MACS}
        known = {name: value for name, value in one.values.items() if one.how[name] == "known"}
        of_chips[one.name] = {**base, **known, **{name: base[name] * own.get(name, 1) for name in one.own}}
    return Fit(CENTRES, of_chips)


def test_cycles_by_hand() -> None:
    tally = {("window", 1000, 10): 2, ("window", 10, 64): 1, ("read", 100, 0): 1, ("elements", 7, 0): 3}
    found = Counts.of(tally, groups=4)
    constants = Constants(100, 50, 25, outputs=4, elements=2, read=8, write=1, weights=1, overhead=5)
    assert found.cycles(constants) == 2 * 10 + 16 + 12.5 + 3 * 3.5 + 20
    assert found.cycles(constants, whole=True) == 2 * 10 + 16 + 13 + 3 * 4 + 20
    assert found.total("window") == 2010 and found.total("read", "elements") == 121


def test_counts_do_not_know_the_order_of_instructions() -> None:
    rows = [(("window", 3, 1), 2), (("read", 5, 0), 1), (("pointwise", 3, 1), 7)]
    first, second = Counts.of(dict(rows), 1), Counts.of(dict(reversed(rows)), 1)
    assert all(
        np.array_equal(getattr(first, name), getattr(second, name)) for name in ("kind", "work", "repeats")
    )


def test_no_instructions_take_the_groups_time() -> None:
    assert Counts.of({}, 3).cycles(Constants(1, 1, 1, 1, 1, 1, 1, 1, 10)) == 30


def test_constants_that_made_the_times_are_found() -> None:
    found = fit_all(problem(truth()))
    for name, value in CENTRES.items():
        assert found.shared[name] == pytest.approx(value, rel=1e-6)


def test_a_chips_own_constants_are_found_but_for_what_draws_them_back() -> None:
    wanted = truth(elements=2.0, bandwidth=1.5, macs=1.4, pointwise=0.8)
    found = fit_all(problem(wanted))
    for one in CHIPS_OF:
        for name in one.own:
            ratio = found.of_chips[one.name][name] / wanted.of_chips[one.name][name]
            assert abs(np.log(ratio)) < 0.1, (one.name, name)


def test_the_same_rows_give_the_same_bits() -> None:
    made = problem(truth(elements=2.0))
    first, second = fit_all(made), fit_all(Problem(made.chips, list(made.rows), MACS))
    assert first == second


def test_own_constants_with_the_shared_ones_held() -> None:
    made = problem(truth(elements=1.5))
    one = next(each for each in CHIPS_OF if each.name == "kl520")
    found = fit_own(made, one, CENTRES)
    assert found.shared == CENTRES and set(found.of_chips) == {"kl520"}
    assert found.of_chips["kl520"]["elements"] == pytest.approx(1.5 * CENTRES["elements"], rel=0.1)
    assert found.of_chips["kl520"]["macs"] == 576  # known
    none = next(each for each in CHIPS_OF if each.name == "kl630")
    assert fit_own(made, none, CENTRES).of_chips["kl630"]["elements"] == CENTRES["elements"]


def test_what_is_left_out_has_no_say() -> None:
    made = problem(truth())
    gone = made.rows[0]
    wrong = replace(gone, milliseconds=1000 * gone.milliseconds)
    spoilt = Problem(made.chips, [wrong, *made.rows[1:]], MACS)
    assert fit_all(spoilt.without([wrong])) == fit_all(made.without([gone]))
    assert fit_all(spoilt) != fit_all(made)


def test_the_least_of_a_sum_with_an_outlier() -> None:
    """Five measurements of one number, one of them far off: nearer to the middle one than to the mean."""
    measured = np.array([1.0, 1.1, 0.9, 1.05, 9.0])

    def residuals(x: Floats) -> Floats:
        return measured - x[0]

    (found,) = least_soft(residuals, np.array([0.0]))
    slope = (measured - found) / np.sqrt(1 + ((measured - found) / fitting.SOFT) ** 2)
    assert abs(slope.sum()) < 1e-6 and 1.0 < found < 1.3


def test_nothing_to_fit() -> None:
    assert least_soft(lambda x: np.array([1.0]), np.zeros(0)).shape == (0,)
