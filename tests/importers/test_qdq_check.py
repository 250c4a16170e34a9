"""The import of a quantized file is held against the file, each layer on its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import helper

from modelbuild import importers
from modelbuild.errors import ModelbuildError
from tests.importers.quantized import (
    WEIGHTS,
    X,
    Y,
    convolution,
    dq,
    imported,
    q,
    save,
    scalar,
)  # fmt: skip


@pytest.mark.parametrize("factor", [1.3, 1.05])
def test_a_wrong_import_is_noticed(tmp_path: Path, factor: float) -> None:
    """Also where one channel alone is a little wrong: less than noise that a network amplifies."""
    path = convolution(tmp_path)
    graph = importers.load(path)
    weights = graph.constants["wf"].astype(np.float32)
    weights[3] *= np.float32(factor)
    graph.constants["wf"] = weights
    with pytest.raises(ModelbuildError, match="the import changed the model: `yq` is off by") as caught:
        importers.check(path, graph)
    assert caught.value.exit_code == 1


def test_each_layer_is_held_against_the_file_on_its_own(tmp_path: Path) -> None:
    """What one layer gets wrong is not hidden by saturation in the next: here it makes nothing but zeros."""
    y = {"y2_s": np.float32(0.5), "y2_z": np.uint8(0), "l": np.float32(-1)}
    nodes = [
        q("x", "x", "xq"), dq("xq", "x", "xf"), dq("w", "w", "wf", axis=0),
        helper.make_node("Conv", ["xf", "wf"], ["c"], "conv"), q("c", "y", "yq"), dq("yq", "y", "yf"),
        helper.make_node("Abs", ["yf"], ["a"], "abs"), helper.make_node("Mul", ["a", "l"], ["n"], "mul"),
        q("n", "y2", "zq"), dq("zq", "y2", "y"),
    ]  # fmt: skip
    path = save(tmp_path, nodes, {**WEIGHTS, **scalar(X, "x"), **scalar(Y, "y"), **y})
    graph = imported(path)
    graph.constants["wf"] = graph.constants["wf"].astype(np.float32) * np.float32(1.1)
    with pytest.raises(ModelbuildError, match="`yq` is off by"):
        importers.check(path, graph)
