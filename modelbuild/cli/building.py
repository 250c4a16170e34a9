"""The whole of `modelbuild build`, for when there may be something to do: heavier to import than the verb."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from time import monotonic

from modelbuild import api
from modelbuild.build.plan import plan
from modelbuild.build.result import Event
from modelbuild.cli import console, progress
from modelbuild.cli.build import tell_settings, warn, warn_of_packages
from modelbuild.cli.progress.failures import Failures
from modelbuild.cli.recording import profile
from modelbuild.cli.recording.recording import Recording
from modelbuild.cli.summary import dry_summary, summary
from modelbuild.errors import EXIT_FAILED, EXIT_INTERRUPTED, ModelbuildError
from modelbuild.project.build_report import BuildReport
from modelbuild.project.goals import goals
from modelbuild.project.options import BuildOptions
from modelbuild.project.project import STATE, Project, located


def opened(options: argparse.Namespace, chosen: BuildOptions) -> Project:
    """The project, for what was asked for."""
    return api.open_project(
        options.directory, options.file, options.overrides, selected=options.names, locked=chosen.locked
    )


def build(
    options: argparse.Namespace,
    chosen: BuildOptions,
    origin: float,
    summary: Callable[[BuildReport, bool], str] = summary,
) -> int:
    """Load, build, publish, summarise. `origin` is when the command began, by `monotonic()`."""
    if options.events == "-" and options.json:
        raise ModelbuildError(
            "--events - and --json both want standard output", advice="name a file: --events build.jsonl"
        )
    root = Path(options.directory)
    recording = Recording(origin, root, options.file, options.events, options.trace)
    recording.start(options.names, chosen._asdict())
    try:
        with recording.phase("load"):
            project = opened(options, chosen)
        warn(finding.to_json() for finding in project.manifest.warnings)
        report = _built(project, options, chosen, recording, dump_folder(project, options))
    except BaseException as error:
        _end_early(options, recording, error)
        raise
    return _tell(project, options, report, recording, origin, summary(report, console.is_verbose()))


def _built(
    project: Project,
    options: argparse.Namespace,
    chosen: BuildOptions,
    recording: Recording,
    dump: Path | None,
) -> BuildReport:
    failures = Failures(lambda action, error: located(project, action, error), project.builder.log)

    def names() -> tuple[str, ...]:
        return plan(project.plan.actions, goals(project, options.names, chosen.until)).order

    with (
        recording.building(),
        progress.shown(project.root / STATE, names, failures, lines_only=options.events == "-") as tell,
    ):

        def observe(event: Event) -> None:
            recording(event)
            tell(event)

        report = api.build(project, options.names, chosen, observe)
        if dump is not None:
            api.dump(project, options.names, options.until, dump, dict(report.failures))
    failures.tell_all(report.failures)
    return report


def dump_folder(project: Project, options: argparse.Namespace) -> Path | None:
    """The folder of `--dump`, if it was given and can be used."""
    if options.dump is None:
        return None
    from modelbuild.project.dumping import check_folder

    if options.dry_run:
        raise ModelbuildError(
            "--dump shows what was built, and --dry-run builds nothing", advice="leave one of them out"
        )
    folder = Path(os.path.abspath(Path(options.directory) / options.dump))  # noqa: PTH100 - links stay links
    check_folder(project.root, folder)
    return folder


def _tell(
    project: Project,
    options: argparse.Namespace,
    report: BuildReport,
    recording: Recording,
    origin: float,
    text: str,
) -> int:
    """The files' ends, the summary `text`, the exit code: a file that is not complete is a failure too."""
    unwritten = recording.finish(report.exit_code)
    for error in unwritten:
        console.report(error)
    warn_of_packages(report)
    data = report.to_json()
    data["ok"] = report.ok and not unwritten
    data["failures"] += [{"action": "", "message": str(error)} for error in unwritten]
    if options.dry_run:
        found = api.standings(project, options.names) if options.until is None else []
        wrong = [difference for one in found for difference in one.differences]
        text = dry_summary(report, {one.package: list(map(str, one.differences)) for one in found})
        data["differences"] = [{"path": one.path, "state": one.kind} for one in wrong]
    if options.profile:
        data["profile"] = recording.profile(_reads(project))
        text += "\n\n" + profile.text(data["profile"])
    if options.events == "-":
        console.progress(text)
    elif options.dry_run:
        console.result(text, data)
    else:
        console.summary(text, data)
    tell_settings(report, options.overrides)
    if report.unremembered and console.is_verbose():
        console.progress(
            f"the next build will look at everything again: {report.unremembered.splitlines()[0]}"
        )
    console.progress(f"took {console.duration(monotonic() - origin)}")
    return report.exit_code or (EXIT_FAILED if unwritten else 0)


def _end_early(options: argparse.Namespace, recording: Recording, error: BaseException) -> None:
    """The files of a build that was interrupted, or never began, are whole too."""
    known = isinstance(error, ModelbuildError)
    code = EXIT_INTERRUPTED if isinstance(error, KeyboardInterrupt) else EXIT_FAILED
    code = error.exit_code if isinstance(error, ModelbuildError) else code
    text = str(error) if known else "interrupted" if code == EXIT_INTERRUPTED else type(error).__name__
    for unwritten in recording.finish(code, text):
        console.report(unwritten)
    if options.profile and recording.ledger.runs:
        console.say(profile.text(recording.profile({})))


def _reads(project: Project) -> dict[str, list[str]]:
    return {action.name: sorted(action.dependencies()) for action in project.plan.actions}
