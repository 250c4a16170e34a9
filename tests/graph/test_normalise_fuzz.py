"""Random models: the normalised graph gives what onnxruntime gives on the source file itself."""

from __future__ import annotations

import tempfile
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelbuild import importers
from modelbuild.errors import ModelbuildError
from modelbuild.graph import guard, onnx_io
from modelbuild.graph.normalise import normalise
from modelbuild.graph.passes import LOWERING, run_passes
from modelbuild.graph.session import FloatSession
from tests.graph.random_models import random_model

_QUIET = (HealthCheck.too_slow, HealthCheck.filter_too_much)


def _check(dice: Random) -> None:
    model = random_model(dice)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        path.write_bytes(model.SerializeToString())
        if not _runs(path):
            return
        graph = importers.load(path)
        result, _ = normalise(graph)
        guard.check(path, result)
        again, rows = normalise(result)
        assert onnx_io.to_bytes(again) == onnx_io.to_bytes(result)
        assert not any(row.changes for row in rows)
        assert not {"Constant", "Identity", "Dropout", "Shape", "BatchNormalization", "Flatten"} & {
            node.op for node in result.nodes if not set(node.outputs) & set(result.outputs)
        }
        lowered, _ = run_passes(result, list(LOWERING))
        guard.check(path, lowered)


def _runs(path: Path) -> bool:
    """Whether onnxruntime itself takes the model; some windows it computes differently from ONNX."""
    try:
        FloatSession(path).run({"input": np.zeros(FloatSession(path).inputs["input"][0] or (), np.float32)})
    except ModelbuildError:
        return False
    return True


@settings(max_examples=60, deadline=None, suppress_health_check=_QUIET)
@given(st.randoms(use_true_random=False))
def test_random_models_keep_their_outputs(dice: Random) -> None:
    _check(dice)


@pytest.mark.long
@pytest.mark.parametrize("block", range(20))
def test_many_random_models_keep_their_outputs(block: int) -> None:
    for seed in range(block * 100, block * 100 + 100):
        _check(Random(seed))
