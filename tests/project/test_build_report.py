"""What a build's result says as a whole: its exit code, its counts, its object."""

from __future__ import annotations

import pytest

from modelbuild.errors import ModelbuildError
from modelbuild.project.build_report import BuildReport, BuiltPackage

FAILED, USER = ModelbuildError("it broke", exit_code=1), ModelbuildError("your file", advice="mend it")


def report(states: str, *errors: ModelbuildError) -> BuildReport:
    """`run failed ...` -> a report with actions a0, a1 ..."""
    named = {f"a{index}": state for index, state in enumerate(states.split())}
    return BuildReport((), named, tuple((f"a{index}", error) for index, error in enumerate(errors)))


@pytest.mark.parametrize(
    ("found", "code"),
    [
        (report(""), 0),
        (report("run cached would_run"), 0),
        (report("failed run", FAILED), 1),
        (report("failed run", USER), 2),
        (report("failed failed", FAILED, USER), 2),
        (report("failed failed", USER, FAILED), 2),
        (report("failed failed skipped", FAILED, FAILED), 1),
        (report("run skipped"), 1),
    ],
)
def test_the_exit_code_is_the_users_fault_first(found: BuildReport, code: int) -> None:
    assert found.exit_code == code
    assert found.ok is (code == 0) is found.to_json()["ok"]


def test_the_object() -> None:
    package = BuiltPackage("bell", "cam", "passed", ({"path": "x"},), "reports/bell/report.html", True, False)
    package = package._replace(checks=({"check": "top1"},))
    found = BuildReport((package,), {"a": "run", "b": "run", "c": "failed", "d": "skipped"}, (("c", USER),))
    assert found.to_json() == {
        "ok": False,
        "packages": [
            {
                "name": "bell",
                "target": "cam",
                "silicon": False,
                "gate": "passed",
                "files": [{"path": "x"}],
                "report": "reports/bell/report.html",
                "checks": [{"check": "top1"}],
                "findings": [],
                "batches": [],
                "included": [],
            }
        ],
        "actions": {"run": 2, "cached": 0, "failed": 1, "skipped": 1, "would_run": 0},
        "failures": [{"action": "c", "message": "your file\n  do:  mend it"}],
        "withdrawn": [],
        "unjudged": [],
        "evaluated": [],
    }
