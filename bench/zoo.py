"""The networks of a zoo: structure-only ONNX files, and `zoo.csv` with the vendor's published times."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from modelbuild import importers
from modelbuild.arithmetic.fixed_model import FixedModel
from modelbuild.chips.recipe import Recipe
from modelbuild.graph.check import place
from modelbuild.graph.model import Graph
from modelbuild.graph.normalise import normalise
from modelbuild.graph.passes import run_passes
from modelbuild.quantize.outline import outline


@dataclass(frozen=True)
class Network:
    """A file, and its published time on each chip that has one, in milliseconds."""

    name: str
    path: Path
    published: Mapping[str, float]


def networks(folder: Path) -> list[Network]:
    """Those of the table, in its order."""
    with (folder / "zoo.csv").open(encoding="utf-8", newline="") as table:
        rows = list(csv.DictReader(table))
    return [Network(row["name"], folder / f"{row['name']}.onnx", _times(row)) for row in rows]


def _times(row: Mapping[str, str]) -> dict[str, float]:
    ending = "_ms"
    return {key.removesuffix(ending): float(row[key]) for key in row if key.endswith(ending) and row[key]}


def loaded(path: Path) -> Graph:
    """The network, normalised; what comes next differs from chip to chip."""
    return normalise(importers.load(path, {}))[0]


def outlined(graph: Graph, recipe: Recipe) -> tuple[FixedModel, tuple[str, ...]]:
    """The model without numbers that a chip would run, and the types of its CPU nodes."""
    lowered, _ = run_passes(graph, recipe.passes)
    units = place(lowered, recipe).units
    cpu = tuple(sorted({node.op for node in lowered.nodes if units.get(node.name) in ("cpu", "none")}))
    return outline(lowered, units, recipe), cpu
