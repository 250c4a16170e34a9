"""`modelbuild build`: bring packages up to date."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from modelbuild import api
from modelbuild.build.result import Event
from modelbuild.cli import console
from modelbuild.errors import ModelbuildError
from modelbuild.project.build_report import BuildReport, BuiltPackage
from modelbuild.project.options import BuildOptions


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    parser.add_argument(
        "names", nargs="*", metavar="PACKAGE|MODEL|MODEL@TARGET", help="every package, if none"
    )
    parser.add_argument("-j", "--jobs", type=int, help="actions side by side (the number of processors)")
    parser.add_argument("--until", metavar="STAGE", help="stop after this stage")
    parser.add_argument(
        "--set",
        dest="overrides",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="a setting for this run",
    )
    parser.add_argument("-n", "--dry-run", action="store_true", help="say what would run; run nothing")
    parser.add_argument(
        "-k", "--keep-going", action="store_true", help="after a failure, build all that can be"
    )
    parser.add_argument("--retry", action="store_true", help="run again what failed with these very inputs")
    parser.add_argument("--dump", metavar="DIR", help="put what each stage made into DIR, to look at")


def run(options: argparse.Namespace) -> int:
    """Build, publish, summarise."""
    if options.jobs is not None and options.jobs < 1:
        raise ModelbuildError(f"-j {options.jobs} cannot build anything", advice="give 1 or more")
    project = api.open_project(options.directory, options.file, options.overrides)
    dump = dump_folder(project, options)
    for finding in project.manifest.warnings:
        console.progress(f"{console.paint('warning:', 'yellow')} {console.finding_text(finding.to_json())}")
    report = api.build(
        project,
        options.names,
        BuildOptions(
            jobs=options.jobs,
            until=options.until,
            keep_going=options.keep_going,
            dry_run=options.dry_run,
            retry=options.retry,
        ),
        observer(),
    )
    if dump is not None:
        api.dump(project, options.names, options.until, dump, dict(report.failures))
    _tell_failures(report, project.builder.log)
    console.summary(summary(report, options.dry_run), report.to_json())
    return report.exit_code


def dump_folder(project: api.Project, options: argparse.Namespace) -> Path | None:
    """The folder of `--dump`, if it was given and can be used."""
    if options.dump is None:
        return None
    from modelbuild.project.dumping import check_folder

    if options.dry_run:
        raise ModelbuildError("--dump shows what was built, and --dry-run builds nothing")
    folder = Path(os.path.abspath(Path(options.directory) / options.dump))  # noqa: PTH100 - links stay links
    check_folder(project.root, folder)
    return folder


def error_json(error: ModelbuildError) -> dict[str, Any]:
    """An error before the build began, as `build --json` shows it."""
    failures = [{"action": "", "message": str(problem)} for problem in error.problems]
    return {**BuildReport((), {}, ()).to_json(), "ok": False, "failures": failures}


def _tell_failures(report: BuildReport, log_of: Callable[[str], Path]) -> None:
    """Each failure once, with the actions that met it; a stage's log where it says more than the message."""
    actions: dict[str, list[str]] = {}
    errors = {str(error): error for _, error in report.failures}
    for action, error in report.failures:
        actions.setdefault(str(error), []).append(action)
    for text, names in actions.items():
        console.say(f"{console.paint('failed:', 'red')} {', '.join(names)}")
        console.report(errors[text])
        if "internal error" in text:
            console.say(f"  log: {log_of(names[0])}")


def observer() -> Callable[[Event], None]:
    """Tells of actions as they start and end."""

    def tell(event: Event) -> None:
        if event.kind == "waiting":
            console.progress("waiting for another modelbuild in this folder")
        elif event.kind == "finished" and event.state in {"run", "failed"}:
            console.progress(f"[{event.done}/{event.total}] {WORDS[event.state]} {event.action}")
        elif event.kind == "finished":
            console.detail(f"[{event.done}/{event.total}] {event.state} {event.action}")

    return tell


WORDS = {"run": "ran", "failed": "failed"}


def summary(report: BuildReport, dry_run: bool) -> str:
    """What there is now, and what was done for it."""
    if dry_run:
        count = report.count("would_run")
        lines = [f"would run {name}" for name, state in report.states.items() if state == "would_run"]
        return "\n".join([*lines, f"{count} of {len(report.states)} actions would run"])
    lines = [line for package in report.packages for line in _package(package)]
    ran, cached, failed = report.count("run"), report.count("cached"), report.count("failed")
    skipped = report.count("skipped")
    if ran == failed == skipped == 0:
        restored = [package.name for package in report.packages if package.changed]
        lines += [f"put {name} back into dist/" for name in restored]
        lines.append(f"nothing to {'run' if restored else 'do'}: {cached} actions are up to date")
    else:
        lines.append(
            f"{ran} ran, {cached} cached, {failed} failed" + (f", {skipped} skipped" if skipped else "")
        )
    return "\n".join(lines)


def _package(package: BuiltPackage) -> list[str]:
    note = "" if package.silicon else "  (for the simulator, not for silicon)"
    lines = [f"{package.name} for {package.target}: gate {package.gate}{note}"]
    lines += [f"  {file['path']}  {file['size']} bytes" for file in package.files]
    if package.report:
        lines.append(f"  report: {package.report}")
    return lines
