"""What came out of quantizing: each check finds what it is for, and nothing where little is lost."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from modelbuild.graph.model import Node
from modelbuild.quantize.record import Record, TensorRecord
from modelbuild.quantize.result_checks import as_held, findings
from modelbuild.quantize.verify import verify
from tests.quantize.cases import Made, graph_of, make, normal, samples_of


def small(settings: dict[str, Any] | None = None, scales: Any = 1.0, back: Any = 1.0) -> Made:
    """Two convolutions; the channels between them are `scales` times as large, and `back` is undone."""
    first, second = normal(6, 3, 1, 1) * scales, normal(4, 6, 1, 1, seed=2) * back
    nodes = [
        Node("Conv", "one", ["x", "w1"], ["a"]),
        Node("Conv", "two", ["a", "w2"], ["y"]),
    ]
    constants = {"w1": np.float32(first), "w2": np.float32(second)}
    graph = graph_of(nodes, {"x": (1, 3, 8, 8)}, ["y"], constants)
    return make(graph, "kl720", {"range": {"method": "minmax"}, **(settings or {})}, samples_of(graph, 8))


def told(made: Made, record: Record | None = None) -> dict[str, Any]:
    measured = verify(made.fixed, made.graph, made.samples)
    wanted = record or made.record
    found = findings(wanted, as_held(made.observations, wanted, made.graph), measured)
    assert all(one.severity == "warning" and one.advice for one in found)
    return {one.code: one for one in found}


def changed(record: Record, name: str, **values: Any) -> Record:
    lines = tuple(replace(line, **values) if line.name == name else line for line in record.tensors)
    return replace(record, tensors=lines)


def line(record: Record, name: str) -> TensorRecord:
    return record.by_name()[name]


def test_nothing_is_said_where_little_is_lost() -> None:
    assert told(small()) == {}


def test_channels_that_are_smaller_than_a_step() -> None:
    scales = np.array([1000, 1, 1, 1, 1, 1]).reshape(6, 1, 1, 1)
    back = np.array([0.001, 1, 1, 1, 1, 1]).reshape(1, 6, 1, 1)
    made = small({"equalize": False}, scales, back)
    found = told(made)["MB302"]
    assert found.node == "a" and "5 of 6 channels of `a` are lost" in found.message
    # that the outputs do not need them: nothing to tell
    assert "MB302" not in told(
        small({"equalize": False}, scales, np.array([1, 0, 0, 0, 0, 0]).reshape(1, 6, 1, 1))
    )


def uneven() -> Made:
    """14 of 16 channels between two convolutions have 1/400 of the others' range, and count as much."""
    factors = np.where(np.arange(16) < 2, 1.0, 1 / 400)
    constants = {
        "w1": np.asarray(normal(16, 3, 3, 3) * factors.reshape(-1, 1, 1, 1), np.float32),
        "w2": np.asarray(normal(8, 16, 1, 1) / factors.reshape(1, -1, 1, 1), np.float32),
    }
    nodes = [
        Node("Conv", "one", ["x", "w1"], ["a"], {"pads": [1, 1, 1, 1]}),
        Node("Relu", "relu", ["a"], ["b"]),
        Node("Conv", "two", ["b", "w2"], ["y"]),
    ]
    graph = graph_of(nodes, {"x": (1, 3, 24, 24)}, ["y"], constants)
    return make(graph, "kl720", {"equalize": True}, samples_of(graph, 16))


def test_equalised_channels_are_judged_as_they_are_held() -> None:
    made = uneven()
    assert "equalize" in made.record.corrections
    assert told(made) == {}


@pytest.mark.parametrize(
    ("method", "share"), [("minmax", "14 of 16"), ("percentile", "14 of 16"), ("output_error", "2 of 16")]
)
def test_channels_that_one_scale_does_not_suit(method: str, share: str) -> None:
    """Two codes are as good as one; and where the range is chosen for the many, the two large are lost."""
    graph, settings = uneven().graph, {"equalize": False, "range": {"method": method}}
    made = make(graph, "kl720", settings, samples_of(graph, 16))
    assert verify(made.fixed, made.graph, made.samples)["outputs"][0]["snr_db"] < 15
    assert f"{share} channels of `b` are lost" in told(made)["MB302"].message


def test_rows_without_histograms_of_channels() -> None:
    factors = np.array([1, 1, *[1 / 400] * 14], np.float32)
    constants = {"w1": normal(20, 16) * factors, "w2": normal(16, 5) / factors.reshape(-1, 1)}
    nodes = [Node("Gemm", "one", ["x", "w1"], ["a"]), Node("Gemm", "two", ["a", "w2"], ["y"])]
    graph = graph_of(nodes, {"x": (8, 20)}, ["y"], constants)
    for method, share in (("minmax", "14 of 16"), ("output_error", "2 of 16")):
        settings = {"equalize": False, "range": {"method": method}}
        made = make(graph, "kl720", settings, samples_of(graph, 32))
        assert f"{share} channels of `a` are lost" in told(made)["MB302"].message


def test_a_range_that_clips() -> None:
    made = small()
    own = line(made.record, "a")
    record = changed(made.record, "a", low=own.low / 8, high=own.high / 8, scale=(own.scale or 0) / 8)
    found = told(made, record)["MB303"]
    assert found.node == "a" and "% of the values of `a` are outside of its range" in found.message
    assert "MB303" not in told(made, changed(made.record, "a", low=own.low * 0.9, high=own.high * 0.9))


@pytest.mark.parametrize(
    ("levels", "measured", "expected"),
    [
        ((12.0, 30.0), 11.0, True),
        ((12.0, 30.0), 25.0, False),
        ((15.0, 15.0), 11.0, False),
        ((43.8, 60.0), 17.6, False),
    ],
)
def test_the_layer_that_explains_the_loss(
    levels: tuple[float, float], measured: float, expected: bool
) -> None:
    record = small().record
    for name, level in zip(("x", "a"), levels, strict=True):
        record = changed(record, name, output_snr_db=level)
    for other in record.tensors:
        if other.name not in ("x", "a"):
            record = changed(record, other.name, output_snr_db=60.0)
    found = findings(record, None, {"samples": 4, "outputs": [{"name": "y", "snr_db": measured}]})
    assert [one.code for one in found] == (["MB304"] if expected else [])
    if expected:
        assert found[0].node == "x" and "`x` (input, int8) makes 98 % of the noise" in found[0].message


def test_an_output_that_does_not_change_any_more() -> None:
    made = small()
    constants = {name: np.zeros_like(value) for name, value in made.fixed.constants.items()}
    dead = replace(made, fixed=replace(made.fixed, constants=constants))
    measured = verify(dead.fixed, dead.graph, dead.samples)
    assert measured["outputs"][0]["constant"] is True
    assert told(dead)["MB301"].node == "y"
    assert "constant" not in verify(made.fixed, made.graph, made.samples)["outputs"][0]
    assert "constant" not in verify(dead.fixed, dead.graph, dead.samples[:1])["outputs"][0]


@pytest.mark.parametrize("key", ["top1", "map50"])
@pytest.mark.parametrize(("value", "labelled", "count"), [(0.0, 10, 1), (0.1, 10, 0), (0.0, 9, 0)])
def test_a_float_model_that_gets_nothing_right(key: str, value: float, labelled: int, count: int) -> None:
    made = small()
    accuracy = {"labelled": labelled, "float": {key: value}, "fixed": {key: 0.0}, "drop": {key: value}}
    found = findings(made.record, None, {"outputs": [], "accuracy": accuracy})
    assert [one.code for one in found].count("MB305") == count
    if count:
        assert found[-1].message == f"{key} of the float model is 0 on 10 labelled samples (fixed point: 0)"
