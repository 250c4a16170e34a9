"""The search of `mode: auto`: what it measures, in which order, and how often."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from modelbuild.errors import ModelbuildError
from modelbuild.quantize.mixed_search import Goal, searched
from modelbuild.quantize.record import Record
from tests.quantize.mixed_cases import meter, network, quantized, samples, wide

EVERYTHING = frozenset(range(60))
PLAIN = Record("small", "multiplier_shift@1", "", "minmax", 1, ())


class Steps:
    """Sixty things to choose from, each of which wins 1 dB; the real SNR is `error` dB off the predicted."""

    def __init__(
        self, lowest: float, error: float = 0.0, share: Callable[[float], float] | None = None
    ) -> None:
        self.lowest, self.error = lowest, error
        self.share = share or (lambda snr: min(snr / 100, 1.0))
        self.sizes: list[int] = []

    def measure(self, record: Record) -> dict[str, Any]:
        self.sizes.append(record.samples)
        snr = self.lowest + record.samples + self.error
        share = self.share(snr)
        output = {"name": "y", "snr_db": snr, "snr_db_mean": snr, "cosine": 1.0, "max_abs": 0.0}
        accuracy = {"float": {"top1": 1.0}, "fixed": {"top1": share}, "drop": {"top1": 1.0 - share}}
        return {"outputs": [output], "accuracy": accuracy, "functions": {}}

    def search(self, accept: dict[str, Any], most: int | None = None) -> tuple[int, Goal]:
        goal = Goal(accept, self.measure, most)
        record = searched(
            goal,
            self.lowest,
            EVERYTHING,
            lambda target: frozenset(range(max(0, min(60, -int(self.lowest - target))))),
            lambda wide: replace(PLAIN, samples=len(wide)),
        )
        return record.samples, goal


@pytest.mark.parametrize("error", [-5.0, 0.0, 5.0])
def test_decibels_are_reached_with_little_more(error: float) -> None:
    steps = Steps(20.0, error)
    size, goal = steps.search({"snr_db": 30})
    assert 30 + 1 <= 20 + size + error <= 30 + 1 + 1.5
    assert len(goal.measurements) <= 8


def test_what_is_kept_in_hand_is_a_setting() -> None:
    for margin in (0.0, 8.0):
        steps = Steps(20.0)
        goal = Goal({"snr_db": 30}, steps.measure, margin_db=margin)
        record = searched(
            goal,
            20.0,
            EVERYTHING,
            lambda target: frozenset(range(max(0, min(60, -int(20.0 - target))))),
            lambda wide: replace(PLAIN, samples=len(wide)),
        )
        assert 30 + margin <= 20 + record.samples <= 30 + margin + 1.5


def test_what_nobody_knows_the_distance_of_is_tried_in_growing_steps() -> None:
    steps = Steps(20.0, share=lambda snr: 1.0 if snr >= 40 else 0.9)
    size, _ = steps.search({"top1_drop": 0.05})
    assert steps.sizes[:4] == [0, 3, 9, 21]  # 3 dB, 6 dB, 12 dB
    assert 20 <= size <= 21


def test_the_last_measurement_is_of_everything() -> None:
    steps = Steps(20.0, share=lambda snr: 1.0 if snr >= 70 else 0.9)
    size, goal = steps.search({"top1_drop": 0.05}, most=3)
    assert steps.sizes == [0, 3, 60] and size == 60 and goal.left == 0
    assert Steps(20.0).search({"snr_db": 30}, most=1)[0] == 60


def test_bisection_stops_at_the_bound() -> None:
    free, bounded = Steps(20.0, 8.0), Steps(20.0, 8.0)
    least, _ = free.search({"snr_db": 40})
    size, goal = bounded.search({"snr_db": 40}, most=2)
    assert len(goal.measurements) == 2 < len(free.sizes)
    assert least < size


def test_out_of_reach_names_the_bound_and_what_was_measured() -> None:
    steps = Steps(20.0, share=lambda snr: 0.9)
    with pytest.raises(ModelbuildError, match=r"top1_drop is 0.1 .* and 0.05 is wanted") as caught:
        steps.search({"top1_drop": 0.05, "snr_db": 10})
    assert caught.value.exit_code == 1


def test_what_is_told_of_the_choice_is_what_was_measured_of_it() -> None:
    steps = Steps(20.0)
    goal = Goal({"snr_db": 30}, steps.measure, margin_db=2.5, samples=9)
    record = replace(PLAIN, samples=12)
    goal.held(replace(PLAIN, samples=2))
    goal.held(record)
    goal.held(replace(PLAIN, samples=40))
    assert goal.to_json(record) == {
        "measurements": 3,
        "samples": 9,
        "margin_db": 2.5,
        "goals": [{"check": "snr_db of y", "bound": 30, "measured": 32.0}],
    }


def test_classes_are_the_labels_or_else_the_float_models_own() -> None:
    record = quantized({})
    own = meter(classes=True)(record)["accuracy"]
    assert own["float"] == {"top1": 1.0, "top5": 1.0}
    assert own["fixed"]["top1"] > 0.5
    labels = [index % 5 for index in range(len(samples()))]
    given = meter(classes=True, labels=labels)(record)["accuracy"]
    assert given["float"]["top1"] < 1.0
    assert given["drop"]["top1"] == given["float"]["top1"] - given["fixed"]["top1"]
    with pytest.raises(ModelbuildError, match="the label 5 of calibration sample 1"):
        meter(classes=True, labels=[5] * len(labels))


def test_auto_holds_a_drop_of_top_1() -> None:
    coarse = {"symmetric": True, "weights": "int8", "mode": "auto"}
    record = quantized(coarse, "modalix", {"top1_drop": 0.0, "cosine": 0.9999})
    found = meter("modalix", classes=True)(record)
    assert found["accuracy"]["drop"]["top1"] == 0.0 and found["outputs"][0]["cosine"] > 0.9999
    assert wide(record) and not {"w1", "w2", "w3", "w4", "w5"} & wide(record)
    assert network().outputs == ["y"]
