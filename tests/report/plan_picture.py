"""docs/k210-memory.svg: the plan of examples/digits. `python -m tests.report.plan_picture` renews it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from modelbuild import importers
from modelbuild.chips.load import load_recipe
from modelbuild.graph.check import place
from modelbuild.graph.normalise import normalise
from modelbuild.graph.passes import run_passes
from modelbuild.kpu.predicting.prediction import predict
from modelbuild.report.html import svg_of_plan
from modelbuild.report.memory_plan import MemoryPlan, plan_of

ROOT = Path(__file__).parents[2]
PICTURE = ROOT / "docs/k210-memory.svg"
MODEL = ROOT / "examples/digits/models/digits.onnx"
TITLE = "Memory plan of the digits network on a K210"


def plan() -> MemoryPlan:
    """Of the outline, whose maps and operations are those of the kmodel."""
    recipe = load_recipe("k210", ROOT)
    graph, _ = run_passes(normalise(importers.load(MODEL, {}, ()))[0], recipe.passes)
    compiled = predict(graph, place(graph, recipe).units, recipe).compiled
    found = plan_of(
        {
            "placements": [asdict(item) for item in compiled.memory.placements],
            "executed": [asdict(item) for item in compiled.executed],
        }
    )
    assert found is not None
    return found


def drawn() -> str:
    """The file's text."""
    return svg_of_plan(plan(), TITLE)


if __name__ == "__main__":
    PICTURE.write_text(drawn(), encoding="utf-8")
