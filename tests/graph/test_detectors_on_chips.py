"""How much of real detectors the NPUs run, once the recipes' passes have rewritten them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from modelbuild import importers
from modelbuild.chips.load import load_recipe
from modelbuild.graph import guard
from modelbuild.graph.check import place
from modelbuild.graph.normalise import normalise
from modelbuild.graph.passes import run_passes

# chip -> what is left for the CPU of NanoDet-m: on KL520 the Sigmoids and the order of the outputs
LEFT = {"kl520": {"Reshape": 6, "Transpose": 6, "Sigmoid": 3}, "kl720": {}}


@pytest.mark.parametrize("chip", LEFT)
def test_nanodet_runs_on_the_npu_up_to_its_heads(shared_data: Path, chip: str) -> None:
    """Its shuffles, parted feature maps and straight-line Resizes are convolutions and pools there."""
    recipe = load_recipe(chip)
    normal, _ = normalise(importers.load(shared_data / "models/onnx/nanodet_m_416.onnx"))
    lowered, _ = run_passes(normal, recipe.passes)
    guard.check(normal, lowered)
    units = place(lowered, recipe).units
    assert Counter(node.op for node in lowered.nodes if units[node.name] == "cpu") == LEFT[chip]
    assert "none" not in units.values()
