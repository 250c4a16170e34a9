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
from tests.rows import row


def _is_of_windows(case: Case) -> bool:
    return any(case is item for item in cases_windows.CASES) or case.op.startswith("RESIZE")


def _ways() -> Iterator[Any]:
    """The cases of an operator in each order of the axes of their data; windows take one only, and of the
    others those behind a move are repetition."""
    for op in sorted({case.op for case in CASES}):
        cases = [case for case in CASES if case.op == op]
        orders = {behind: [case for case in cases if not behind or _is_of_windows(case)] for behind in MOVES}
        rest = {behind: [case for case in cases if behind and not _is_of_windows(case)] for behind in MOVES}
        yield pytest.param(orders, id=op)
        if any(rest.values()):
            yield pytest.param(rest, id=f"{op}-repeated", marks=pytest.mark.long)


MOVES = ("", "RESHAPE", "TRANSPOSE")


@pytest.mark.parametrize("orders", list(_ways()))
def test_the_graph_computes_what_tflite_computes(tmp_path: Path, orders: dict[str, list[Case]]) -> None:
    for behind, cases in orders.items():
        for case in cases:
            with row(case.name, behind):
                data, feeds = case.build(behind)
                graph = judge.imported(data, tmp_path)
                expected = judge.runtime(data, feeds)
                judge.assert_equal(expected, judge.run(graph, feeds), 1e-5)
                judge.assert_equal(expected, judge.run(normalise(graph)[0], feeds), 1e-5)
