"""`build`: what is said of packages, of progress and of failures."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelbuild.build.result import Event
from modelbuild.cli import console
from modelbuild.cli.build import _tell_failures, observer, summary
from modelbuild.errors import ModelbuildError
from modelbuild.project.build_report import BuildReport, BuiltPackage
from tests.cli.conftest import Command, edit

FILE = {"path": "dist/bell/models_720.sim.nef", "size": 1234, "sha256": "0" * 64}
PASSED = BuiltPackage("bell", "cam", "passed", (FILE,), "reports/bell/report.html", True, False)


def report(packages: tuple[BuiltPackage, ...] = (), **states: str) -> BuildReport:
    return BuildReport(packages, states, ())


def test_a_package_its_files_and_its_report() -> None:
    assert summary(report((PASSED,), a="run", b="cached"), False).splitlines() == [
        "bell for cam: gate passed  (for the simulator, not for silicon)",
        "  dist/bell/models_720.sim.nef  1234 bytes",
        "  report: reports/bell/report.html",
        "1 ran, 1 cached, 0 failed",
    ]
    real = BuiltPackage("bell", "cam", "not reached", (), None, False, True)
    assert summary(report((real,), a="failed", b="skipped", c="skipped"), False).splitlines() == [
        "bell for cam: gate not reached",
        "0 ran, 0 cached, 1 failed, 2 skipped",
    ]


def test_nothing_to_do_and_a_dry_run() -> None:
    assert summary(report(a="cached", b="cached"), False) == "nothing to do: 2 actions are up to date"
    text = summary(report(a="would_run", b="cached", c="would_run"), True)
    assert text.splitlines() == ["would run a", "would run c", "2 of 3 actions would run"]


def test_a_failure_is_told_once_with_all_that_met_it(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    console.configure(json=False, quiet=False, verbose=False, color="never")
    one, other = ModelbuildError("it broke", advice="mend it"), ModelbuildError("internal error in c")
    failures = (("a", one), ("b", ModelbuildError("it broke", advice="mend it")), ("c", other))
    _tell_failures(BuildReport((), {}, failures), lambda action: tmp_path / f"{action}.log")
    assert capsys.readouterr().err.splitlines() == [
        "failed: a, b",
        "error: it broke",
        "  do:  mend it",
        "failed: c",
        "error: internal error in c",
        f"  log: {tmp_path / 'c.log'}",
    ]


@pytest.mark.parametrize(
    ("quiet", "verbose", "shown"),
    [
        (False, False, ["[1/3] ran a", "[2/3] failed b"]),
        (False, True, ["[1/3] ran a", "[2/3] failed b", "[3/3] cached c"]),
        (True, False, []),
    ],
)
def test_progress(capsys: pytest.CaptureFixture[str], quiet: bool, verbose: bool, shown: list[str]) -> None:
    console.configure(json=False, quiet=quiet, verbose=verbose, color="never")
    tell = observer()
    tell(Event("started", "a", done=0, total=3))
    tell(Event("finished", "a", "run", done=1, total=3))
    tell(Event("finished", "b", "failed", done=2, total=3))
    tell(Event("finished", "c", "cached", done=3, total=3))
    captured = capsys.readouterr()
    assert captured.err.splitlines() == shown and captured.out == ""


def test_a_gate_that_fails(copied: Path, command: Command) -> None:
    """One bound is broken: its package is named, with what was measured; the others stay as they are."""
    edit(copied, "accept: {snr_db: 5}", "accept: {snr_db: 5}, targets: {nef: {accept: {snr_db: 199}}}")
    said = command(copied, "build", "--keep-going")
    assert said.code == 1
    assert "all-nef for nef: gate failed  (for the simulator, not for silicon)" in said.lines
    assert "all-mpk for mpk: gate passed  (for the simulator, not for silicon)" in said.lines
    assert "failed: all-nef:gate" in said.err and "the bound is 199" in said.err
    assert said.err.count("error:") == 1
    assert "  report: reports/all-nef/report.html" in said.lines
    again = command(copied, "build", "--keep-going", "--json")
    assert again.code == 1 and again.json["actions"]["run"] == 0 and again.json["ok"] is False
    gates = {package["name"]: package["gate"] for package in again.json["packages"]}
    assert gates == {"all-nef": "failed", "all-mpk": "passed", "all-old": "passed"}


def test_a_dry_run_runs_nothing(copied: Path, command: Command) -> None:
    edit(copied, "accept: {snr_db: 5}", "accept: {snr_db: 4}")
    said = command(copied, "build", "--dry-run")
    assert said.code == 0 and "would run all-nef:gate" in said.lines
    assert said.lines[-1].endswith(" actions would run")
    assert command(copied, "build", "--dry-run").lines == said.lines
