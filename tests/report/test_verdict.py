"""Bounds against measurements: which way each bound goes, and that what is not available never passes."""

from __future__ import annotations

from typing import Any

import pytest

from modelbuild.report.verdict import BOUNDS, judge

MEASURED: dict[str, Any] = {
    "fixed": {
        "outputs": [
            {"name": "a", "snr_db": 30.0, "snr_db_mean": 31.0, "cosine": 0.99, "max_abs": 0.5},
            {"name": "b", "snr_db": 20.0, "snr_db_mean": 21.0, "cosine": 0.98, "max_abs": 0.25},
        ],
        "accuracy": {"fixed": {"top1": 0.9, "top5": 0.99}, "drop": {"top1": 0.02, "top5": 0.0}},
    },
    "hardware": {"equal": True},
    "check": {"units": {"x": "cpu", "y": "npu", "z": "cpu"}},
    "evaluate": {"fps": 50.0},
}
# bound that just holds, bound that just does not
EDGES = {
    "snr_db": (20.0, 20.1),
    "snr_db_mean": (21.0, 21.1),
    "cosine": (0.98, 0.985),
    "max_abs": (0.5, 0.49),
    "top1": (0.9, 0.91),
    "top5": (0.99, 0.995),
    "top1_drop": (0.02, 0.01),
    "top5_drop": (0.0, -0.1),
    "cpu_nodes": (2, 1),
    "fps": (50.0, 50.5),
}


def test_every_bound_has_an_edge() -> None:
    assert EDGES.keys() == BOUNDS.keys()


@pytest.mark.parametrize("key", EDGES)
def test_a_bound_holds_up_to_its_edge(key: str) -> None:
    holds, breaks = EDGES[key]
    assert all(check.passed for check in judge("m", {key: holds}, MEASURED))
    assert not all(check.passed for check in judge("m", {key: breaks}, MEASURED))


@pytest.mark.parametrize("key", EDGES)
def test_what_was_not_measured_never_passes(key: str) -> None:
    checks = judge("m", {key: EDGES[key][0]}, {"hardware": {"equal": True}})
    assert [check.passed for check in checks if check.check != "hardware equals fixed"] == [False]
    assert checks[0].measured is None


def test_outputs_can_have_their_own_bounds() -> None:
    checks = judge("m", {"snr_db": {"a": 25, "b": 15, "c": 1}}, MEASURED)
    assert [(check.check, check.measured, check.passed) for check in checks] == [
        ("snr_db of a", 30.0, True),
        ("snr_db of b", 20.0, True),
        ("snr_db of c", None, False),
        ("hardware equals fixed", True, True),
    ]


@pytest.mark.parametrize(
    ("hardware", "verdict"), [({"equal": True}, [True]), ({"equal": False}, [False]), (None, [False])]
)
def test_hardware_must_equal_fixed_without_being_asked(hardware: Any, verdict: list[bool]) -> None:
    measured = {"hardware": hardware} if hardware else {}
    assert [check.passed for check in judge("m", {}, measured)] == verdict


def test_hardware_that_was_not_asked_for_is_not_judged() -> None:
    assert judge("m", {}, {"hardware": {"equal": None}}) == []
