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
        "accuracy": {
            "float": {"top1": 0.92, "top5": 0.99, "map": 0.5, "map50": 0.7},
            "fixed": {"top1": 0.9, "top5": 0.99, "map": 0.4, "map50": 0.65},
            "drop": {"top1": 0.02, "top5": 0.0, "map": 0.1, "map50": 0.05},
        },
        "functions": {"float": {"s.py:f": 3.0}, "fixed": {"s.py:f": 2.5}},
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
    "map": (0.4, 0.41),
    "map50": (0.65, 0.66),
    "map_drop": (0.1, 0.09),
    "map50_drop": (0.05, 0.04),
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


@pytest.mark.parametrize(
    ("limits", "verdict"),
    [
        ({"at_least": 2.5}, True),
        ({"at_least": 2.6}, False),
        ({"at_most": 2.5}, True),
        ({"at_most": 2.4}, False),
        ({"drop": 0.5}, True),
        ({"drop": 0.4}, False),
        ({"rise": -0.5}, True),
        ({"rise": -0.6}, False),
    ],
)
def test_functions_have_bounds_of_their_own(limits: dict[str, float], verdict: bool) -> None:
    (check,) = judge("m", {"function": {"s.py:f": limits}}, {**MEASURED, "hardware": {"equal": None}})
    assert check.passed is verdict and "s.py:f" in check.check
    checks = judge("m", {"function": {"s.py:f": limits}}, {"hardware": {"equal": None}})
    assert [(one.measured, one.passed) for one in checks] == [(None, False)]


def test_what_the_packaged_bytes_reach_is_held_against_the_same_bound() -> None:
    hardware = {"equal": None, "accuracy": {"top1": 0.8}, "functions": {"s.py:f": 1.0}}
    accept = {"top1": 0.85, "top1_drop": 0.1, "function": {"s.py:f": {"drop": 1.5}}}
    assert [(one.check, one.passed) for one in judge("m", accept, {**MEASURED, "hardware": hardware})] == [
        ("drop of s.py:f", True),
        ("drop of s.py:f in hardware", False),
        ("top1", True),
        ("top1 in hardware", False),
        ("top1_drop", True),
        ("top1_drop in hardware", False),
    ]


def test_hardware_that_was_not_asked_for_is_not_judged() -> None:
    assert judge("m", {}, {"hardware": {"equal": None}}) == []
