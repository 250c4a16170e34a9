"""The vocabulary of operator rules, as recipes may write it."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelbuild.chips.conditions import CONDITIONS, problems
from modelbuild.chips.located import parse


@pytest.mark.parametrize(
    "text",
    [
        "kernel: 3",
        "kernel: [1, 3]",
        "kernel: {min: 2, max: 12}",
        "kernel: {power_of_two: true}",
        "exponent: [0.5, -0.5]",
        "mode: [nearest]",
        "constant_input: [1, 2]",
        "permutation: [[0, 2, 1]]",
        "keeps_batch: true",
    ],
)
def test_forms_that_are_right(text: str) -> None:
    assert list(problems(parse(text, "r"))) == []


@pytest.mark.parametrize(
    "text",
    [
        "kernel: three",
        "kernel: []",
        "kernel: {}",
        "kernel: {most: 3}",
        "kernel: {max: many}",
        "kernel: {power_of_two: false}",
        "kernel: true",
        "mode: nearest",
        "constant_input: 1",
        "constant_input: [-1]",
        "permutation: [0, 1]",
        "keeps_batch: false",
    ],
)
def test_forms_that_are_wrong(text: str) -> None:
    (problem,) = problems(parse(text, "r"))
    assert problem.where == "r:1:1"
    assert "must be" in problem.what


def test_an_unknown_condition_names_the_nearest() -> None:
    (problem,) = problems(parse("kernels: 3", "r"))
    assert problem.what == "unknown condition `kernels`"
    assert problem.advice == "did you mean `kernel`?"


def test_every_condition_is_explained() -> None:
    page = (Path(__file__).parents[2] / "docs" / "chips.md").read_text(encoding="utf-8")
    assert [name for name in CONDITIONS if f"| `{name}` |" not in page] == []
