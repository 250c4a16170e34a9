"""Operator by operator, version by version: the import gives what a runtime gives on the file itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelbuild import importers
from modelbuild.errors import ModelbuildError
from modelbuild.graph import guard
from modelbuild.graph.normalise import normalise
from modelbuild.importers.refused import OPERATORS as REFUSED_BY_TABLE
from tests.importers import cases_elementwise, cases_shaping, cases_windows
from tests.importers.cases_windows import REFUSED
from tests.importers.operator_cases import Case, saved, standard_sets

CASES = (*cases_elementwise.CASES, *cases_shaping.CASES, *cases_windows.CASES)

# Spectra and losses of training: nothing that a model for an NPU holds, and nothing is known of them here.
UNTRIED = {"DFT", "MelWeightMatrix", "NegativeLogLikelihoodLoss", "STFT", "SoftmaxCrossEntropyLoss"}


BRANCHES = {"If"}  # test_branches.py
QUANTIZED = {"DequantizeLinear", "QLinearConv", "QLinearMatMul", "QuantizeLinear"}  # test_qdq.py


def _versions() -> set[tuple[str, int]]:
    """Every standard operator with each set from 7 on in which its definition is another one."""
    # Of those up to 7 the newest is what set 7 has.
    return {(name, max(version, 7)) for name, versions in standard_sets().items() for version in versions}


def test_every_operator_and_version_is_in_a_table() -> None:
    tried = {(case.op, version) for case in (*CASES, *REFUSED) for version in case.versions()}
    left = {
        (op, version)
        for op, version in _versions()
        if op not in REFUSED_BY_TABLE and op not in UNTRIED | QUANTIZED | BRANCHES
    }
    assert left - tried == set()


@pytest.mark.parametrize("op", sorted({case.op for case in CASES}))
def test_the_import_gives_the_same_values(tmp_path: Path, op: str) -> None:
    for number, case in enumerate(case for case in CASES if case.op == op):
        for version in case.versions():
            path = saved(tmp_path, case, version)
            graph = importers.load(path)
            assert graph.opset == 17
            assert importers.check(path, graph) is not None, (number, case, version)
            guard.check(path, normalise(graph)[0])


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.op)
def test_what_has_no_form_is_refused_by_name(tmp_path: Path, case: Case) -> None:
    for version in case.versions():
        with pytest.raises(ModelbuildError, match=f"{case.op} `n`") as caught:
            importers.load(saved(tmp_path, case, version))
        assert caught.value.exit_code == 2
