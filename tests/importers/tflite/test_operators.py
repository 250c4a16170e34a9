"""TFLite operators: each, with its settings, gives what TFLite's own runtime gives."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from modelbuild.graph.normalise import normalise
from tests.importers.tflite import cases_windows, judge
from tests.importers.tflite.case import Case
from tests.importers.tflite.operator_cases import CASES


def _ways() -> Iterator[Any]:
    """Each case in each order of the axes of its data; windows take one only, the others are repetition."""
    for case in CASES:
        always = not any(case is item for item in cases_windows.CASES) and not case.op.startswith("RESIZE")
        for behind in ("", "RESHAPE", "TRANSPOSE"):
            marks = () if always or not behind else pytest.mark.long
            yield pytest.param(case, behind, id=f"{case.name}-{behind}", marks=marks)


@pytest.mark.parametrize(("case", "behind"), list(_ways()))
def test_the_graph_computes_what_tflite_computes(tmp_path: Path, case: Case, behind: str) -> None:
    data, feeds = case.build(behind)
    graph = judge.imported(data, tmp_path)
    expected = judge.runtime(data, feeds)
    judge.assert_equal(expected, judge.run(graph, feeds), 1e-5)
    judge.assert_equal(expected, judge.run(normalise(graph)[0], feeds), 1e-5)
