"""What was chosen by trying: what a choice changes, and on which chips."""

from __future__ import annotations

from math import prod
from pathlib import Path

import pytest

from bench import choices
from bench.choices import CHOICES, TODAY, Choice, NothingFused, OutputsAlone, Published, problem
from bench.constants import BOUND, CHIPS, chip, tried
from bench.fitting import Problem
from bench.zoo import loaded, outlined
from modelbuild.chips.load import load_recipe
from modelbuild.npu.planning import cutting
from modelbuild.npu.rewriting import rewritten


def test_a_fact_changes_where_no_source_gives_it() -> None:
    found = {chip: Choice("x", {"sram_bytes": 4096}).hardware(chip).sram_bytes.value for chip in CHIPS}
    assert found == {"kl520": 524288, **dict.fromkeys(CHIPS[1:], 4096)}
    clocks = [Choice("x", {"clock_hz": 5.0}).hardware(chip).clock_hz.value for chip in CHIPS]
    assert clocks == [300e6, 500e6, 500e6, 700e6, 5]
    assert all(TODAY.hardware(chip) == load_recipe(chip).hardware for chip in CHIPS)


def test_all_that_was_tried_is_changed_in_turn() -> None:
    facts = {fact for choice in CHOICES for fact in choice.facts}
    taken_alike = {"engines_at_once"}  # the fit's counts know no engines at work at the same time
    assert {it.fact for it in tried()} == facts | taken_alike | {BOUND}
    assert {choice.again for choice in CHOICES} > {cutting.AGAIN}
    assert len({choice.name for choice in CHOICES}) == len(CHOICES)


def test_a_constant_more() -> None:
    more = Choice("x", own=("kl630", "bandwidth"))
    assert [len(more.chip(name).own) for name in CHIPS] == [1, 2, 1, 2, 3]
    assert more.chip("kl630").own == ("bandwidth",) and more.chip("kl720") == chip("kl720")


def test_what_was_tried() -> None:
    found = {it.fact: it for it in tried()}
    assert found["clock_hz"].chips == ("kl730",) and not found["clock_hz"].is_shared
    assert found["tile_bytes"].chips == CHIPS and found["tile_bytes"].is_shared
    assert found["window_columns_at_once"].is_shared and found["window_rows_at_once"].is_neutral("kl730")
    assert found[BOUND].is_shared and found[BOUND].values["kl520"] == cutting.AGAIN
    assert found["sram_bytes"].chips == CHIPS[1:] and found["sram_bytes"].is_shared
    assert found["pixels_at_once"].chips == CHIPS[1:] and found["pixels_at_once"].is_shared
    assert "macs_per_cycle" not in found and "elementwise_per_cycle" not in found


@pytest.fixture(scope="module")
def given(shared_data: Path) -> list[Published]:
    graph = loaded(shared_data / "zoo" / "mobilenet_v2.onnx")
    models = {chip: rewritten(outlined(graph, load_recipe(chip))[0]) for chip in ("kl520", "kl720")}
    return [Published("mobilenet_v2", chip, model, 1.0) for chip, model in models.items()]


def work(made: Problem, *kinds: str) -> list[float]:
    return [row.counts.total(*kinds) for row in made.rows]


def test_rules_are_changed_and_put_back(given: list[Published]) -> None:
    before = cutting.AGAIN
    today = problem(given)
    moved = ("read", "write", "weights")
    small = {"tile_bytes": 4096}
    less, more = (problem(given, Choice("x", small, again=again)) for again in (0.1, 9.0))
    assert before == cutting.AGAIN
    assert all(low < high for low, high in zip(work(less, *moved), work(more, *moved), strict=True))
    alone = problem(given, Choice("x", counting=OutputsAlone))
    assert all(low < high for low, high in zip(work(alone, "elements"), work(today, "elements"), strict=True))
    assert work(alone, *moved) == work(today, *moved)
    same = problem(given)
    assert work(same, *moved) == work(today, *moved)


def test_facts_are_those_of_the_fit_too(given: list[Published]) -> None:
    made = problem(given, Choice("x", {"clock_hz": 2e9, "pixels_at_once": 32}))
    assert [chip.clock_hz for chip in made.chips] == [300e6, 500e6, 500e6, 700e6, 2e9]
    kl520, kl720 = (work(found, "pointwise") for found in zip_rows(made, problem(given)))
    assert kl520[0] == kl520[1] and kl720[0] > kl720[1]
    assert choices.TODAY is CHOICES[0]


def test_deep_plans_and_functions_that_are_not_fused(given: list[Published], shared_data: Path) -> None:
    today, deep = problem(given), problem(given, Choice("x", deep=True))
    assert all(low < high for low, high in zip(work(deep, "read"), work(today, "read"), strict=True))
    graph = loaded(shared_data / "zoo" / "tiny_yolov3.onnx")
    model = rewritten(outlined(graph, load_recipe("kl720"))[0])
    leaky = [Published("tiny_yolov3", "kl720", model, 1.0)]
    apart = problem(leaky, Choice("x", counting=NothingFused))
    fused = [it for it in model.operators if it.fused]
    cells = sum(prod(model.tensors[it.outputs[0]].shape) for it in fused)
    assert fused and work(apart, "elements")[0] == work(problem(leaky), "elements")[0] + cells


def zip_rows(*problems: Problem) -> list[Problem]:
    """A problem a chip, of the rows that it has in each of these."""
    first = problems[0]
    return [
        Problem(first.chips, rows, first.macs) for rows in zip(*(it.rows for it in problems), strict=True)
    ]
