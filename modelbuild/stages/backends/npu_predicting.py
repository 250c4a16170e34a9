"""Predictions of `multiplier_shift@1`, and of number systems that nothing compiles: the chip model's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from modelbuild.chips.recipe import Recipe
from modelbuild.graph.model import Graph
from modelbuild.npu.predicting import advice, cpu_time, evaluation
from modelbuild.npu.predicting.assumptions import Options
from modelbuild.npu.predicting.prediction import Prediction, predict

__all__ = ["checked", "predict", "said"]


def checked(
    graph: Graph, units: Mapping[str, str], recipe: Recipe, options: Options | None = None
) -> tuple[dict[str, float], None, None]:
    """Node on the CPU -> ms of one run. A build tells of memory: it knows what settings save."""
    rows = cpu_time.rows(graph, units, {}, recipe.hardware)
    return {row["name"]: row["time_ms"] for row in rows}, None, None


def said(
    found: Prediction,
    reasons: Mapping[str, str],
    source_macs: Mapping[str, int] | None,
    again: Callable[[Options], Prediction] | None = None,
) -> dict[str, Any]:
    """The object of evaluate.json."""
    listed = evaluation.to_json(found, reasons, source_macs)
    return listed | advice.to_json(found, listed["cpu_nodes"], again)
