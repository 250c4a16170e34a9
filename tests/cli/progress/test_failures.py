"""Failures: each error once, with all that met it, and its place in the manifest."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelbuild.cli import console
from modelbuild.cli.progress.failures import Failures
from modelbuild.errors import ModelbuildError


def test_an_error_is_told_once_with_all_that_met_it(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    console.configure(json=False, quiet=True, verbose=False, color="never")
    failures = Failures(lambda action, error: error, lambda action: tmp_path / f"{action}.log")
    failures.tell("a", ModelbuildError("it broke", advice="mend it"))
    failures.tell("b", ModelbuildError("it broke", advice="mend it"))
    failures.tell("a", ModelbuildError("it broke", advice="mend it"))
    failures.tell("c", ModelbuildError("internal error in c"))
    failures.tell("d", None)
    assert capsys.readouterr().err.splitlines() == [
        "failed: a",
        "error: it broke",
        "  do:  mend it",
        "failed: b, for the same reason as a",
        "failed: c",
        "error: internal error in c",
        f"  log: {tmp_path / 'c.log'}",
    ]
    console.configure(json=False, quiet=False, verbose=False, color="auto")


def test_the_place_is_that_of_the_manifest(capsys: pytest.CaptureFixture[str]) -> None:
    console.configure(json=False, quiet=False, verbose=False, color="never")
    located = ModelbuildError("it broke", where="models.yaml:3:4")
    Failures(lambda action, error: located, lambda action: Path("log")).tell("a", ModelbuildError("it broke"))
    assert "error: models.yaml:3:4: it broke" in capsys.readouterr().err
