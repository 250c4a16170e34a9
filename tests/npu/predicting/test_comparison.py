"""Predictions beside measured times, and beside each other."""

from __future__ import annotations

from typing import Any

import pytest

from modelbuild.npu.predicting.comparison import Pair, beside, joined, side_by_side
from modelbuild.npu.predicting.measured import Measured, Row


def layer(name: str, ms: float, *origin: str) -> dict[str, Any]:
    return {"name": name, "origin": list(origin or (name,)), "time_ms": ms, "cycles": round(ms * 1000)}


LAYERS = [layer("a", 1.0), layer("b", 2.0, "b", "relu"), layer("c1", 3.0, "c"), layer("c2", 4.0, "c")]

PREDICTED: dict[str, Any] = {
    "layers": LAYERS,
    "time_ms": 10.0,
    "total_ms": 16.0,
    "cpu_nodes": [{"name": "sm", "op": "Softmax", "time_ms": 6.0}],
}


def pairs(*names: str) -> list[Pair]:
    return joined([Row(name, 1.0) for name in names], LAYERS)


def test_names_come_before_origins() -> None:
    assert pairs("b", "a", "c2") == [
        Pair((1,), (0,), "name"),
        Pair((0,), (1,), "name"),
        Pair((2,), (3,), "name"),
    ]
    assert pairs("c") == [Pair((0,), (2, 3), "origin")]


def test_what_was_fused_is_timed_together() -> None:
    assert pairs("b", "relu") == [Pair((0, 1), (1,), "origin")]
    assert pairs("c1", "c", "c2") == [Pair((0, 1, 2), (2, 3), "origin")]


def test_a_tools_prefix_is_no_part_of_the_name() -> None:
    assert pairs("MLA_0/b") == [Pair((0,), (1,), "name")]


def test_as_many_as_are_left_are_joined_in_order() -> None:
    assert pairs("x", "a", "y", "z") == [
        Pair((1,), (0,), "name"),
        Pair((0,), (1,), "order"),
        Pair((2,), (2,), "order"),
        Pair((3,), (3,), "order"),
    ]
    assert pairs("x", "a") == [Pair((1,), (0,), "name")]


def test_beside() -> None:
    measured = Measured((Row("a", 2.0), Row("b", cycles=1000), Row("odd", 5.0)), 12.0)
    found = beside(measured, PREDICTED, 1e6)
    assert found["total_ms"] == 12.0 and found["ratio"] == pytest.approx(16 / 12) and found["of"] == "total"
    assert found["layers"] == [
        {
            "layers": ["a"],
            "measured": ["a"],
            "joined_by": "name",
            "predicted_ms": 1.0,
            "measured_ms": 2.0,
            "ratio": 0.5,
        },
        {
            "layers": ["b"],
            "measured": ["b"],
            "joined_by": "name",
            "predicted_ms": 2.0,
            "measured_ms": 1.0,
            "ratio": 2.0,
        },
    ]
    assert found["unmatched"] == {"measured": ["odd"], "layers": ["c1", "c2"]}


def test_a_total_alone_has_no_layers() -> None:
    found = beside(Measured((), 5.0), PREDICTED, 1e6)
    assert found["ratio"] == 3.2 and found["layers"] == []
    found = beside(Measured((), 5.0, is_npu=True), PREDICTED, 1e6)
    assert (found["of"], found["predicted_ms"], found["ratio"]) == ("npu", 10.0, 2.0)
    assert found["unmatched"] == {"measured": [], "layers": []}


def test_a_sum_of_some_is_held_against_these() -> None:
    found = beside(Measured((Row("b", 4.0), Row("odd", 5.0))), PREDICTED, 1e6)
    assert (found["of"], found["total_ms"], found["predicted_ms"], found["ratio"]) == (
        "layers",
        4.0,
        2.0,
        0.5,
    )
    lost = beside(Measured((Row("odd", 5.0),)), PREDICTED, 1e6)
    assert (lost["total_ms"], lost["predicted_ms"], lost["ratio"]) == (5.0, None, None)


def test_nodes_on_the_cpu_are_joined_by_name() -> None:
    found = beside(Measured((Row("a", 1.0), Row("sm", 3.0))), PREDICTED, 1e6)
    assert [(pair["layers"], pair["predicted_ms"]) for pair in found["layers"]] == [
        (["a"], 1.0),
        (["sm"], 6.0),
    ]
    assert found["ratio"] == pytest.approx(7 / 4) and found["unmatched"]["layers"] == ["b", "c1", "c2"]


def test_many_rows_of_one_layer_are_no_burden() -> None:
    rows = [Row("relu", 0.001)] * 20_000
    (pair,) = joined(rows, LAYERS)
    assert len(pair.rows) == 20_000 and pair.layers == (1,)


def test_chips_side_by_side() -> None:
    def chip(name: str, total: float) -> dict[str, Any]:
        return {"chip": name, "total_ms": total, "cpu_nodes": [{}], "unsupported": [], "fps": 1000 / total}

    slow, fast = side_by_side([chip("slow", 20.0), chip("fast", 5.0)])
    assert (slow["speed"], fast["speed"]) == (1.0, 4.0)
    assert fast["chip"] == "fast" and fast["cpu_nodes"] == 1 and fast["energy_mj"] is None
