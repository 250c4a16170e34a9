"""Errors of networks left out: what is left out has no say."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench import constants
from bench.constants import CHIPS
from bench.counts import Counts
from bench.fitting import Problem, Row, fit_all, predicted
from bench.left_out import by_network, by_row, chosen_again, fits_without, means, ratios


def small_problem() -> Problem:
    tallies = {"a": ("window", 10**8, 10), "b": ("elements", 10**7, 0), "c": ("read", 10**8, 0)}
    of_chips = [constants.chip(name) for name in CHIPS]
    found = [
        Row(name, chip, Counts.of({key: 1}, 9), 5.0 + number)
        for number, (name, key) in enumerate(tallies.items())
        for chip in CHIPS
    ]
    return Problem(of_chips, found, 512.0)


def test_a_network_left_out_is_left_out_on_all_chips() -> None:
    made = small_problem()
    found = by_network(made)
    assert len(found) == len(made.rows)
    spoilt = [replace(row, milliseconds=50 * row.milliseconds) for row in made.rows if row.network == "a"]
    spoilt += [row for row in made.rows if row.network != "a"]
    again = by_network(Problem(made.chips, spoilt, made.macs))
    for chip in CHIPS:
        assert again["a", chip] == pytest.approx(found["a", chip] / 50)  # its own times had no say
        assert chip == "kl520" or again["b", chip] != found["b", chip]


def test_a_row_left_out_leaves_the_shared_constants_alone() -> None:
    made = small_problem()
    fit = fit_all(made)
    found = by_row(made, fit)
    whole = ratios(made, fit, made.rows)
    assert all(found[name, "kl630"] == whole[name, "kl630"] for name in "abc")  # it has none of its own
    assert found["b", "kl520"] != whole["b", "kl520"]


def test_what_fits_the_others_best_is_chosen_for_each_network() -> None:
    given = small_problem()
    fit = fit_all(given)
    exact = [replace(row, milliseconds=predicted(given, fit, row)) for row in given.rows]
    times = {"a": 9.0, "b": 1.0, "c": 1 / 9}
    spoilt = [replace(row, milliseconds=row.milliseconds * times[row.network]) for row in exact]
    made, other = (Problem(given.chips, rows, given.macs) for rows in (exact, spoilt))
    found = chosen_again([other, made])
    assert found == by_network(made) == chosen_again([made])
    assert list(fits_without(made)) == ["a", "b", "c"]
    assert means(found) == means(by_network(made)) != means(by_network(other))
