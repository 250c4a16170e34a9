"""The summary of a build: packages with files, sizes and gates, and how long lists stay readable."""

from __future__ import annotations

import pytest

from modelbuild.cli import console
from modelbuild.cli.summary import FEW, MANY, dry_summary, summary
from modelbuild.project.build_report import BuildReport, BuiltPackage


def package(
    name: str = "bell", gate: str = "passed", *, changed: bool = True, silicon: bool = False
) -> BuiltPackage:
    files = [
        {"path": f"dist/{name}/models_720.sim.nef", "size": 12_345, "sha256": "0" * 64},
        {"path": f"dist/{name}/face.json", "size": 512, "sha256": "1" * 64},
    ]
    listed = tuple(files) if gate == "passed" else ()
    return BuiltPackage(name, "cam", gate, listed, f"reports/{name}/report.html", changed, silicon)


def report(*packages: BuiltPackage, **states: str) -> BuildReport:
    return BuildReport(packages, states, ())


def test_a_package_its_files_its_sizes_and_its_gate() -> None:
    assert summary(report(package(), a="run", b="cached")).splitlines() == [
        "package  target  gate        size  file",
        "bell     cam     passed  12.1 KiB  dist/bell/models_720.sim.nef",
        "                            512 B  dist/bell/face.json",
        "                                   reports/bell/report.html",
        "for the simulator, not for silicon: bell",
        "1 ran, 1 cached, 0 failed",
    ]


def test_batches_that_were_asked_for() -> None:
    whole = {"model": "face", "desired": 16, "achieved": 16, "reasons": []}
    reasons = ["`Flatten_3` (reshape) folds dimension 0: [1, 2, 3] becomes [6]", "another", "a third"]
    less = {"model": "lock", "desired": 16, "achieved": 1, "reasons": reasons}
    lines = summary(report(package()._replace(batches=(whole, less)), a="run")).splitlines()
    assert lines[4:6] == [
        "face@cam: batch 16",
        f"lock@cam: batch 1 of 16 wanted: {reasons[0]}, and 2 more",
    ]


def test_a_package_that_did_not_come_out() -> None:
    lost = BuiltPackage("bell", "cam", "not reached", (), None, False, True)
    assert summary(report(lost, a="failed", b="skipped", c="skipped")).splitlines() == [
        "package  target  gate         size  file",
        "bell     cam     not reached",
        "0 ran, 0 cached, 1 failed, 2 skipped",
    ]


def test_what_was_not_built_is_not_said_to_be_for_the_simulator() -> None:
    lost = BuiltPackage("bell", "cam", "failed", (), "reports/bell/report.html", False, False)
    assert "simulator" not in summary(report(lost, a="failed"))
    both = summary(report(lost, package("door"), a="failed")).splitlines()
    assert "for the simulator, not for silicon: door" in both


def test_a_narrow_terminal_breaks_no_path(monkeypatch: pytest.MonkeyPatch) -> None:
    found = report(package(), package("face-detect"), a="run")
    wide = summary(found).splitlines()
    monkeypatch.setattr(console, "columns", lambda: max(map(len, wide)))
    assert summary(found).splitlines() == wide
    monkeypatch.setattr(console, "columns", lambda: 40)
    assert summary(found).splitlines()[:9] == [
        "bell  cam  passed",
        "  dist/bell/models_720.sim.nef  12.1 KiB",
        "  dist/bell/face.json  512 B",
        "  reports/bell/report.html",
        "face-detect  cam  passed",
        "  dist/face-detect/models_720.sim.nef",
        "    12.1 KiB",
        "  dist/face-detect/face.json  512 B",
        "  reports/face-detect/report.html",
    ]


def test_whether_it_is_for_silicon() -> None:
    lines = summary(report(package("a"), package("b"), x="run")).splitlines()
    assert "all of these are for the simulator, not for silicon" in lines
    mixed = summary(report(package("a"), package("b", silicon=True), x="run")).splitlines()
    assert "for the simulator, not for silicon: a" in mixed
    assert "silicon" not in summary(report(package("b", silicon=True), x="run"))


def test_nothing_to_do() -> None:
    assert summary(report(a="cached", b="cached")) == "nothing to do: 2 actions are up to date"
    back = summary(report(package(), a="cached")).splitlines()
    assert back[-2:] == ["put bell back into dist/", "nothing to run: 1 actions are up to date"]


def test_of_many_packages_only_what_is_new_or_wrong_is_listed() -> None:
    still = [package(f"p{index}", changed=False) for index in range(1000)]
    assert summary(report(*still, a="cached")).splitlines() == [
        "1000 packages are as they were; -v lists them",
        "nothing to do: 1 actions are up to date",
    ]
    some = [*still, package("new"), package("bad", "failed", changed=False)]
    lines = summary(report(*some, a="run")).splitlines()
    assert [line.split()[0] for line in lines if line.split()[1:2] == ["cam"]] == ["new", "bad"]
    assert lines[-2:] == ["1000 packages are as they were; -v lists them", "1 ran, 0 cached, 0 failed"]
    assert len(summary(report(*some, a="run"), verbose=True).splitlines()) > 3000


def test_few_packages_are_listed_though_nothing_is_new() -> None:
    few = [package(f"p{index}", changed=False) for index in range(FEW)]
    assert len(summary(report(*few, a="cached")).splitlines()) == 1 + 3 * FEW + 2


def test_many_new_packages_have_a_line_each() -> None:
    many = [package(f"p{index:04}") for index in range(MANY + 1)]
    lines = summary(report(*many, a="run")).splitlines()
    assert len(lines) == 1 + MANY + 1 + 2
    assert lines[1].split() == ["p0000", "cam", "passed", "12.6", "KiB", "2", "files", "in", "dist/p0000"]


def test_what_a_build_would_do() -> None:
    found = report(a="would_run", b="cached", c="would_run")
    wrong = {"bell": ["dist/bell/x is missing", "dist/bell/y was altered"], "door": []}
    assert dry_summary(found, wrong).splitlines() == [
        "would run a",
        "would run c",
        "would put bell back: dist/bell/x is missing, and 1 more",
        "2 of 3 actions would run",
    ]
