"""`build`: what is said of packages, of progress and of failures."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelbuild.cli.build import warn, warn_of_packages
from modelbuild.graph.check import Finding
from modelbuild.project.build_report import BuildReport, BuiltPackage
from tests.cli.conftest import Command, edit


def test_a_gate_that_fails(copied: Path, command: Command) -> None:
    """One bound is broken: its package is named, with what was measured; the others stay as they are."""
    edit(copied, "accept: {snr_db: 5}", "accept: {snr_db: 5}, targets: {nef: {accept: {snr_db: 199}}}")
    said = command(copied, "build", "--keep-going")
    assert said.code == 1
    assert ["all-nef", "nef", "failed", "reports/all-nef/report.html"] in [
        line.split() for line in said.lines
    ]
    assert any(line.split()[:3] == ["all-mpk", "mpk", "passed"] for line in said.lines)
    assert "for the simulator, not for silicon: all-mpk, all-old" in said.lines
    assert "failed: all-nef:gate" in said.err and "at least 199" in said.err
    assert said.err.count("error:") == 1
    again = command(copied, "build", "--keep-going", "--json")
    assert again.code == 1 and again.json["actions"]["run"] == 0 and again.json["ok"] is False
    gates = {package["name"]: package["gate"] for package in again.json["packages"]}
    assert gates == {"all-nef": "failed", "all-mpk": "passed", "all-old": "passed"}


def test_a_finding_is_called_a_warning_once(capsys: pytest.CaptureFixture[str]) -> None:
    warn([Finding("MB004", "warning", "no package has it", "add it to one", "", "m.yaml", 2, 3).to_json()])
    said = capsys.readouterr().err
    assert said == "m.yaml:2:3: warning MB004: no package has it\n  do:  add it to one\n"


def test_a_finding_names_all_targets_that_it_is_of(capsys: pytest.CaptureFixture[str]) -> None:
    finding = {"code": "MB114", "severity": "warning", "message": "`a` folds", "advice": "", "node": "a"}
    place = {"file": "models.yaml", "line": 4, "column": 3, "model": "net"}
    packages = tuple(
        BuiltPackage(f"P-{target}", target, "passed", (), None, True, False)._replace(
            findings=({**finding, **place, "target": target},)
        )
        for target in ("b4", "mxb")
    )
    warn_of_packages(BuildReport(packages, {}, ()))
    assert "models.yaml:4:3: warning MB114: net@b4, mxb: `a` folds\n" in capsys.readouterr().err


def test_a_dry_run_runs_nothing(copied: Path, command: Command) -> None:
    edit(copied, "accept: {snr_db: 5}", "accept: {snr_db: 4}")
    said = command(copied, "build", "--dry-run")
    assert said.code == 0 and "would run all-nef:gate" in said.lines
    assert said.lines[-1].endswith(" actions would run")
    assert command(copied, "build", "--dry-run").lines == said.lines
