"""`modelbuild check`: findings, before any work."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modelbuild import api
from modelbuild.cli import console, findings, github, progress, sarif
from modelbuild.errors import EXIT_USER, ModelbuildError
from modelbuild.project.checking import CheckReport, coded, problem_finding
from modelbuild.project.project import STATE

FORMATS = ("text", "json", "github", "sarif")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    parser.add_argument(
        "names", nargs="*", metavar="PACKAGE|MODEL|MODEL@TARGET", help="every package, if none"
    )
    parser.add_argument(
        "--format", choices=FORMATS, help="for people, programs, GitHub's annotations, code scanners"
    )
    parser.add_argument(
        "--edition", help="of the chips' operator tables, in place of what the targets say: v0.15.5"
    )
    parser.add_argument(
        "--staged", action="store_true", help="what the next commit would hold, by git's index"
    )
    parser.add_argument(
        "--offline", action="store_true", help="fetch nothing; say which models could not be looked at"
    )


def error_json(error: ModelbuildError) -> dict[str, Any]:
    """An error in the manifest, as `--json` and `--format json` show it; others as every verb tells them."""
    if error.exit_code != EXIT_USER:
        return {"ok": False, "findings": [], "error": error.to_json()}
    return {"ok": False, "findings": [problem_finding(problem) for problem in error.problems]}


def _coded(error: ModelbuildError) -> ModelbuildError:
    if error.exit_code != EXIT_USER:
        return error
    return ModelbuildError.of(map(coded, error.problems), error.exit_code)


def run(options: argparse.Namespace) -> int:
    """Print every finding, a count of nodes a unit, and the range that preprocessing gives."""
    form = _form(options)
    try:
        report = _report(options)
    except ModelbuildError as error:
        if form == "json" and not options.json:  # that is for whoever reports errors to print
            console.put(console.json_text({"ok": False, **error_json(error)}))
        if form in ("text", "json"):
            raise _coded(error) from error
        if error.exit_code != EXIT_USER:  # the disk, and nothing that was written in a manifest
            raise
        found = tuple(error_json(error)["findings"])
        report = CheckReport(found, {}, {}, error.exit_code)
    _show(report, form, options)
    if form in ("github", "sarif"):
        console.progress(_count(report))
    return report.exit_code


def _count(report: CheckReport) -> str:
    """What is in a text that people do not read."""
    severities = [finding["severity"] for finding in report.findings]
    counts = {severity: severities.count(severity) for severity in ("error", "warning", "note")}
    listed = [f"{count} {name}{'s' if count > 1 else ''}" for name, count in counts.items() if count]
    return ", ".join(listed) or "no findings"


def _form(options: argparse.Namespace) -> str:
    if options.json and options.format not in (None, "json"):
        raise ModelbuildError(
            f"--json and --format {options.format} ask for two different texts", advice="leave one out"
        )
    return "json" if options.json else options.format or "text"


def _report(options: argparse.Namespace) -> CheckReport:
    project = None if options.staged else api.open_project(options.directory, options.file)
    with progress.shown(Path(options.directory, STATE)) as tell:
        if project is None:
            return api.check_staged(
                options.directory,
                options.file,
                options.names,
                observer=tell,
                offline=options.offline,
                edition=options.edition,
            )
        return api.check(
            project, options.names, observer=tell, offline=options.offline, edition=options.edition
        )


def _show(report: CheckReport, form: str, options: argparse.Namespace) -> None:
    def placed(finding: Mapping[str, Any]) -> tuple[str, int, int] | None:
        return _placed(finding, report, options)

    if form == "github":
        console.put(github.text(report.findings, placed))
    elif form == "sarif":
        console.put(sarif.text(report.findings, report.ignored, placed))
    elif form == "json":
        console.put(console.json_text(report.to_json()))
    else:
        console.result("\n".join(_lines(report, options)), report.to_json())


def _placed(
    finding: Mapping[str, Any], report: CheckReport, options: argparse.Namespace
) -> tuple[str, int, int] | None:
    """File (relative to where the command runs), line and column: the finding's own, or its model's."""
    place = finding if finding["file"] and finding["line"] else report.places.get(finding.get("model") or "")
    if place is None:
        return None
    path = os.path.relpath(Path(options.directory, options.file).parent / place["file"])
    return path.replace(os.sep, "/"), place["line"], place["column"] or 1


def _lines(report: CheckReport, options: argparse.Namespace) -> list[str]:
    wrong = [finding for finding in report.findings if finding["severity"] == "error"]
    if options.quiet:
        return findings.texts(wrong, each=options.verbose)
    lines = findings.texts(report.findings, each=options.verbose)
    for pair, rows in report.placement.items():
        units = [row["unit"] for row in rows]
        counts = {unit: units.count(unit) for unit in ("npu", "fused", "cpu", "none")}
        lines.append(f"{pair}: {', '.join(f'{count} {unit}' for unit, count in counts.items() if count)}")
        if options.verbose:
            lines.append(_table(rows))
    for model, ports in report.ranges.items():
        for port, ranges in ports.items():
            spans = ", ".join(f"{low:.6g} to {high:.6g}" for low, high in ranges)
            lines.append(f"{model}: preprocessing makes {port} {spans}")
    if report.ignored:
        count = len(report.ignored)
        lines.append(f"{count} finding{'s' if count > 1 else ''} ignored, as the manifest says")
    lines.append("no errors" if not wrong else f"{len(wrong)} error{'s' if len(wrong) > 1 else ''}")
    return lines


_WIDEST = 40  # TensorFlow joins the names of all layers that it fused: one of them sets no column


def _table(rows: list[dict[str, str]]) -> str:
    """Every node with the unit that runs it, and why that is not the NPU."""
    cells = [
        (console.short(row["node"]), row["op"], row["unit"], console.short_names(row["reason"]))
        for row in rows
    ]
    return console.table(("node", "operator", "unit", "because"), cells, widest=_WIDEST)
