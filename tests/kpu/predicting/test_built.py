"""Predictions of what was built: of a kmodel's own operations, those that calibration decides among them."""

from __future__ import annotations

import json

import pytest

from modelbuild.chips.load import load_recipe
from modelbuild.kpu.compiler import compile_model
from modelbuild.kpu.predicting.evaluation import to_json
from modelbuild.kpu.predicting.prediction import of_built, predict
from modelbuild.kpu.predicting.timeline import timeline, times_of, times_together
from modelbuild.npu.predicting.assumptions import Options
from tests.kpu.lowering.made import Lowered, lowered
from tests.quantize.test_split import network

RECIPE = load_recipe("k210")


@pytest.fixture(scope="module")
def divided() -> Lowered:
    return lowered(network(), settings={"split": True})


def test_times_are_those_of_the_kmodel_with_the_layers_that_split_makes(divided: Lowered) -> None:
    """The outline has fewer: what is divided is joined by the CPU, and goes to the KPU's RAM again."""
    compiled = compile_model(divided.fixed, RECIPE, {})
    steps = timeline(divided.fixed, compiled.executed, RECIPE.hardware)
    times = times_together(times_of(steps, RECIPE.hardware))
    found = of_built(divided.graph, divided.units, RECIPE, divided.fixed, compiled)
    said = to_json(found, {})
    assert said["built"] is True and said["may_divide"] is None
    assert said["total_ms"] == pytest.approx(times["time_ms"])
    assert said["cpu_time_ms"] == pytest.approx(times["cpu_ms"])
    assert said["memory"]["kmodel"] == len(compiled.kmodel)
    outline = to_json(predict(divided.graph, divided.units, RECIPE), {})
    assert outline["built"] is False and outline["may_divide"] == 1
    assert said["total_ms"] > 1.2 * outline["total_ms"] and said["groups"] > outline["groups"]
    json.dumps(said, allow_nan=False)


def test_parts_stand_for_nodes_of_their_own(divided: Lowered) -> None:
    said = to_json(of_built(divided.graph, divided.units, RECIPE, divided.fixed), {})
    parts = {node["name"]: node for node in said["nodes"] if node["name"].startswith("c0_part")}
    assert len(parts) > 1 and all(node["layer"] and node["type"] == "npu" for node in parts.values())


def test_other_rates_of_the_same_file(divided: Lowered) -> None:
    usual, fast = (
        to_json(of_built(divided.graph, divided.units, RECIPE, divided.fixed, options=options), {})
        for options in (None, Options(clock_hz=500e6))
    )
    assert fast["total_ms"] == pytest.approx(usual["total_ms"] / 1.25, rel=1e-3)
    assert fast["groups"] == usual["groups"]
