"""TFLite operators: each, with its settings, gives what TFLite's own runtime gives."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelbuild.graph.normalise import normalise
from tests.importers.tflite import judge
from tests.importers.tflite.operator_cases import CASES, Case


@pytest.mark.parametrize("behind", ["", "RESHAPE", "TRANSPOSE"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_graph_computes_what_tflite_computes(tmp_path: Path, case: Case, behind: str) -> None:
    data, feeds = case.build(behind)
    graph = judge.imported(data, tmp_path)
    expected = judge.runtime(data, feeds)
    judge.assert_equal(expected, judge.run(graph, feeds), 1e-5)
    judge.assert_equal(expected, judge.run(normalise(graph)[0], feeds), 1e-5)
