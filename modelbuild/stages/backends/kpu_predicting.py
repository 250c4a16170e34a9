"""Predictions of `kpu@1` and `float32`: the operations of the kmodel that would be made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from modelbuild.arithmetic.fixed_model import FixedModel
from modelbuild.chips.recipe import Recipe
from modelbuild.graph.model import Graph
from modelbuild.kpu.compiler import Compiled
from modelbuild.kpu.predicting import advice, evaluation, prediction
from modelbuild.kpu.predicting.costs import checked
from modelbuild.kpu.predicting.prediction import Prediction
from modelbuild.npu.predicting.assumptions import Options

__all__ = ["checked", "of_built", "predict", "said"]


def predict(
    graph: Graph,
    units: Mapping[str, str],
    recipe: Recipe,
    options: Options | None = None,
    told: Callable[[int, int, str], None] | None = None,
) -> Prediction:
    """Nothing of it takes long enough to be told of."""
    return prediction.predict(graph, units, recipe, options)


def of_built(
    graph: Graph,
    units: Mapping[str, str],
    recipe: Recipe,
    fixed: FixedModel,
    compiled: Compiled | None = None,
    options: Options | None = None,
) -> Prediction:
    """As `modelbuild.kpu.predicting.prediction.of_built`."""
    return prediction.of_built(graph, units, recipe, fixed, compiled, options)


def said(
    found: Prediction,
    reasons: Mapping[str, str],
    source_macs: Mapping[str, int] | None,
    again: Callable[[Options], Prediction] | None = None,
) -> dict[str, Any]:
    """The object of evaluate.json. There is one way to make a kmodel: nothing is tried again."""
    listed = evaluation.to_json(found, reasons, source_macs)
    return listed | advice.to_json(found, listed["cpu_nodes"])
