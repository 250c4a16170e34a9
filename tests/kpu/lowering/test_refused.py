"""What nothing lowers is refused with what to do."""

from __future__ import annotations

import numpy as np
import pytest

from modelbuild.chips.load import load_recipe
from modelbuild.errors import ModelbuildError
from modelbuild.graph.model import Graph, Node
from modelbuild.kpu.lower import lower
from modelbuild.kpu.predicting.outline import _record
from modelbuild.quantize.settings import Settings
from tests.kpu.lowering.made import conv, network, weights


def refused(graph: Graph, unit: str, sram_bytes: int | None = None) -> str:
    """The advice."""
    recipe = load_recipe("k210").with_sram(sram_bytes)
    with pytest.raises(ModelbuildError) as caught:
        units = {node.name: unit for node in graph.nodes}
        lower(graph, units, _record(graph, recipe, Settings()), recipe)
    return caught.value.problems[0].advice


def test_a_layer_that_does_not_fit_says_what_to_make_smaller() -> None:
    large = network([conv("x", "y", "w")], (1, 16, 256, 512), weights(w=(4, 16, 3, 3)))
    assert "smaller picture" in refused(large, "npu", 1024)


def test_whatever_cannot_be_built_says_to_cut_it_off() -> None:
    ones = {name: np.ones(8, np.float32) for name in ("scale", "bias", "mean", "var")}
    graph = network([Node("BatchNormalization", "n", ["x", *ones], ["y"])], (1, 8), ones)
    assert "edit: [{cut: ...}]" in refused(graph, "cpu")
