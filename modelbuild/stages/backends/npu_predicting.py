"""Predictions of `multiplier_shift@1`, and of number systems that nothing compiles: the chip model's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from modelbuild.chips.recipe import Recipe
from modelbuild.graph.model import Graph
from modelbuild.npu.predicting import advice, cpu_time, evaluation
from modelbuild.npu.predicting.assumptions import Options
from modelbuild.npu.predicting.prediction import Prediction, predict

__all__ = ["cpu_times", "predict", "said"]


def cpu_times(graph: Graph, units: Mapping[str, str], recipe: Recipe) -> dict[str, float]:
    """Node on the CPU -> ms of one run."""
    return {row["name"]: row["time_ms"] for row in cpu_time.rows(graph, units, {}, recipe.hardware)}


def said(
    found: Prediction,
    reasons: Mapping[str, str],
    source_macs: Mapping[str, int] | None,
    again: Callable[[Options], Prediction] | None = None,
) -> dict[str, Any]:
    """The object of evaluate.json."""
    listed = evaluation.to_json(found, reasons, source_macs)
    return listed | advice.to_json(found, listed["cpu_nodes"], again)
