"""Kmodels of other versions are refused with whose they are, and what to do."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from modelbuild.errors import ModelbuildError
from modelbuild.formats import kmodel
from modelbuild.kpu.simulator import load


@pytest.mark.parametrize(
    ("version", "layout", "said"),
    [
        (3, "", "it has version 3, which is for nncase 0.1"),
        (4, "", "it has version 4, which is for nncase 0.2"),
        (5, "development", "it has version 5, in the layout development, which is for nncase 1.x"),
        (7, "", "it has version 7, which is for nncase 2.4 and later"),
    ],
)
def test_other_versions(version: int, layout: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        kmodel, "read", lambda data: SimpleNamespace(version=version, layout=layout, modules=())
    )
    with pytest.raises(ModelbuildError) as caught:
        load(b"LDMK")
    (problem,) = caught.value.problems
    assert problem.what == f"the kmodel does not run: {said}"
    assert "inspect --disassemble" in problem.advice and "build it anew" in problem.advice
