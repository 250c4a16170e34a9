"""Each operator of tflite@1 gives the codes of TFLite's own reference kernels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from modelbuild import importers
from modelbuild.arithmetic import tflite
from tests.arithmetic.tflite.quantized_cases import BY_NAME
from tests.importers.tflite import judge


@pytest.mark.parametrize("name", BY_NAME)
def test_the_codes_are_those_of_the_reference_kernel(tmp_path: Path, name: str) -> None:
    case = BY_NAME[name]
    for seed in range(3):
        data, feeds = case.build(seed)
        (tmp_path / "model.tflite").write_bytes(data)
        graph = importers.load(tmp_path / "model.tflite")
        found = judge.in_own_layout(graph, tflite.run, feeds)["y"]
        expected = judge.runtime(data, feeds, kernels=case.kernels)["y"]
        assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
        assert np.abs(found.astype(int) - expected.astype(int)).max() <= case.most
