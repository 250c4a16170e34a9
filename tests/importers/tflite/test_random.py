"""Random TFLite models: the graph gives what TFLite gives, before and after normalising."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelbuild.graph.normalise import normalise
from tests.importers.tflite import judge
from tests.importers.tflite.random_models import Generator


def _check(seed: int, folder: Path) -> None:
    data = Generator(seed).build(4 + seed % 10)
    graph = judge.imported(data, folder)
    feeds = judge.random_feeds(graph, seed)
    expected = judge.runtime(data, feeds)
    judge.assert_equal(expected, judge.run(graph, feeds), 1e-4)
    judge.assert_equal(expected, judge.run(normalise(graph)[0], feeds), 1e-4)


@pytest.mark.parametrize("seed", range(25))
def test_random_models_compute_what_tflite_computes(tmp_path: Path, seed: int) -> None:
    _check(seed, tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("start", range(1000, 2000, 50))
def test_a_thousand_random_models_compute_what_tflite_computes(tmp_path: Path, start: int) -> None:
    for seed in range(start, start + 50):
        _check(seed, tmp_path)
