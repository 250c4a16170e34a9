"""`modelbuild lock`: write, or look at, what a locked build starts from and must come out as."""

from __future__ import annotations

import argparse
from typing import Any

from modelbuild import api
from modelbuild.cli import build, console, progress
from modelbuild.cli.progress.failures import Failures
from modelbuild.errors import EXIT_FAILED, ModelbuildError
from modelbuild.project.options import BuildOptions
from modelbuild.project.project import STATE, located


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    parser.add_argument(
        "names", nargs="*", metavar="PACKAGE|MODEL|MODEL@TARGET", help="every package, if none"
    )
    parser.add_argument("-j", "--jobs", type=int, help="actions side by side (the number of processors)")
    parser.add_argument(
        "--check",
        action="store_true",
        help="write and run nothing: exit 1, naming each item, where the lock is not what `lock` would write",
    )


def error_json(error: ModelbuildError) -> dict[str, Any]:
    """An error before anything was locked, as `lock --json` shows it."""
    failures = build.error_json(error)["failures"]
    return {"ok": False, "lock": "modelbuild.lock", "written": [], "removed": [], "failures": failures}


def run(options: argparse.Namespace) -> int:
    """Build and write the lock, or check it."""
    how = BuildOptions.of(vars(options))
    project = api.open_project(options.directory, options.file)
    return _check(project, options) if options.check else _lock(project, options, how)


def _lock(project: api.Project, options: argparse.Namespace, how: BuildOptions) -> int:
    failures = Failures(lambda action, error: located(project, action, error), project.builder.log)
    with progress.shown(project.root / STATE, failures=failures) as tell:
        report = api.lock(project, options.names, how, tell)
    failures.tell_all(report.build.failures)
    if not report.build.ok:
        console.summary("nothing was locked: what does not build cannot be", report.to_json())
        return report.build.exit_code
    lines = [f"wrote {path}" for path in report.written] + [f"removed {path}" for path in report.removed]
    console.summary("\n".join(lines) or "modelbuild.lock is up to date", report.to_json())
    return 0


def _check(project: api.Project, options: argparse.Namespace) -> int:
    found = api.check_lock(project, options.names)
    lines = [str(difference.problem()) for difference in found]
    data = {
        "ok": not found,
        "lock": "modelbuild.lock",
        "differences": [difference.to_json() for difference in found],
    }
    console.result("\n".join(lines) or "modelbuild.lock is up to date", data)
    return EXIT_FAILED if found else 0
