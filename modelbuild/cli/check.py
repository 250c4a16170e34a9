"""`modelbuild check`: findings, before any work."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from modelbuild import api
from modelbuild.cli import console, findings, progress
from modelbuild.errors import ModelbuildError
from modelbuild.project.checking import problem_finding
from modelbuild.project.project import STATE


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    parser.add_argument(
        "names", nargs="*", metavar="PACKAGE|MODEL|MODEL@TARGET", help="every package, if none"
    )
    parser.add_argument(
        "--staged", action="store_true", help="what the next commit would hold, by git's index"
    )
    parser.add_argument(
        "--offline", action="store_true", help="fetch nothing; say which models could not be looked at"
    )


def error_json(error: ModelbuildError) -> dict[str, Any]:
    """An error in the manifest, as `check --json` shows it."""
    return {"ok": False, "findings": [problem_finding(problem) for problem in error.problems]}


def run(options: argparse.Namespace) -> int:
    """Print every finding, a count of nodes a unit, and the range that preprocessing gives."""
    project = None if options.staged else api.open_project(options.directory, options.file)
    with progress.shown(Path(options.directory, STATE)) as tell:
        if project is None:
            report = api.check_staged(
                options.directory, options.file, options.names, observer=tell, offline=options.offline
            )
        else:
            report = api.check(project, options.names, observer=tell, offline=options.offline)
    lines = findings.texts(report.findings, each=options.verbose)
    for pair, units in report.units.items():
        counts = {unit: list(units.values()).count(unit) for unit in ("npu", "fused", "cpu", "none")}
        shown = ", ".join(f"{count} {unit}" for unit, count in counts.items() if count)
        lines.append(f"{pair}: {shown}")
    for model, ports in report.ranges.items():
        for port, ranges in ports.items():
            spans = ", ".join(f"{low:.6g} to {high:.6g}" for low, high in ranges)
            lines.append(f"{model}: preprocessing makes {port} {spans}")
    errors = sum(finding["severity"] == "error" for finding in report.findings)
    lines.append("no errors" if not errors else f"{errors} error{'s' if errors > 1 else ''}")
    wrong = (finding for finding in report.findings if finding["severity"] == "error")
    errors_only = findings.texts(wrong, each=options.verbose)
    console.result("\n".join(errors_only if options.quiet else lines), report.to_json())
    return report.exit_code
