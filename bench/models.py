"""A file -> the exact integers of it that a chip runs, calibrated with random inputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.graphs import SHAPES
from modelbuild import importers
from modelbuild.arithmetic.fixed_model import FixedModel
from modelbuild.chips.recipe import Recipe
from modelbuild.errors import ModelbuildError
from modelbuild.graph.check import place
from modelbuild.graph.codes import CODES
from modelbuild.graph.model import Graph
from modelbuild.graph.normalise import normalise
from modelbuild.graph.passes import run_passes
from modelbuild.quantize.apply import apply
from modelbuild.quantize.observe import observe
from modelbuild.quantize.quantize import quantize
from modelbuild.quantize.settings import Settings


def fixed_model(path: Path, recipe: Recipe) -> FixedModel:
    """What `apply` makes of it. A ModelbuildError where the chip cannot run it."""
    shapes = {name: tuple(shape) for name, shape in SHAPES.get(path.stem, {}).items()}
    graph, _ = normalise(importers.load(path, shapes))
    graph, _ = run_passes(graph, list(recipe.passes))
    placement = place(graph, recipe)
    for finding in placement.findings:
        if CODES[finding.code].stops:
            raise ModelbuildError(finding.message)
    observations = observe(graph, [_random(graph, seed) for seed in (1, 2)])
    record = quantize(graph, observations, Settings(), recipe.number_format)
    return apply(graph, placement.units, record, recipe)


def _random(graph: Graph, seed: int) -> dict[str, NDArray[Any]]:
    rng = np.random.default_rng(seed)
    return {
        name: (
            rng.integers(0, 127, graph.shapes[name], endpoint=True)
            if np.issubdtype(graph.dtypes[name], np.integer)
            else rng.normal(size=graph.shapes[name])
        ).astype(graph.dtypes[name])
        for name in graph.inputs
    }
