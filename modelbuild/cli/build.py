"""`modelbuild build`: bring packages up to date."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from time import monotonic
from typing import Any

from modelbuild.cli import console, leaving
from modelbuild.errors import ModelbuildError
from modelbuild.project import settled
from modelbuild.project.build_report import BuildReport
from modelbuild.project.layout import DIST
from modelbuild.project.options import BuildOptions


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    add = parser.add_argument
    add("names", nargs="*", metavar="PACKAGE|MODEL|MODEL@TARGET", help="every package, if none")
    add("-j", "--jobs", type=int, metavar="N", help="actions side by side (the number of processors)")
    add("--memory", metavar="SIZE", help="what actions may take together: 4G, 512M (most of what is free)")
    add("--until", metavar="STAGE", help=f"stop after this stage: {_STAGES}")
    add("--set", **SETTING)
    add("-n", "--dry-run", action="store_true", help="say what would run; run nothing")
    add("-k", "--keep-going", action="store_true", help="after a failure, build all that can be")
    add("--retry", action="store_true", help="run again what failed with these very inputs")
    add("--offline", action="store_true", help="fetch nothing; fail where something would have to be")
    add("--locked", action="store_true", help="build from modelbuild.lock, and fail where something differs")
    add("--remeasure", action="store_true", help="with --locked: measure again, and compare with the lock")
    add("--dump", metavar="DIR", help="put what each stage made into DIR, to look at")
    add(
        "--events", metavar="FILE", help="write what happens as it happens, a JSON object a line; - is stdout"
    )
    add("--trace", metavar="FILE", help="write when what ran where, for chrome://tracing and Perfetto")
    add("--profile", action="store_true", help="show the slowest actions, and the longest chain of them")


# as `modelbuild.toolchains.builtin` has them, which a build with nothing to do does not import
_STAGES = (
    "fetch, import_source, import_fixed, normalise, check_samples, check_calibration, lower, check, "
    "evaluate, observe, quantize, apply, verify_fixed, check_result, remeasure, compile, package, "
    "verify_hardware, locked, gate, report"
)
_TARGETS = 4  # of a finding, that are named
SETTING: dict[str, Any] = {
    "dest": "overrides",
    "action": "append",
    "default": [],
    "metavar": "KEY=VALUE",
    "help": "a setting for this run: quantize.range.method=minmax",
}


def run(options: argparse.Namespace) -> int:
    """Build, publish, summarise. Where nothing is to be done, nothing heavy is imported to find that out."""
    origin = monotonic()
    chosen = BuildOptions.of(vars(options))
    asks_more = options.verbose or options.events or options.trace or options.profile or options.dump
    if not asks_more and not options.dry_run:
        report, seen = settled.look(options.directory, options.file, options.names, options.overrides, chosen)
        leaving.keep(report, seen)
        if report is not None:
            warn(report.warnings)
            return tell(report, origin, options.overrides)
        from modelbuild.build import cycles

        with cycles.seldom():
            from modelbuild.cli.rebuilding import rebuild

            report = rebuild(options, chosen, seen, warn)
            leaving.keep(report)
        if report is not None:
            return tell(report, origin, options.overrides)
    from modelbuild.cli import building

    return building.build(options, chosen, origin)


def warn(findings: Iterable[dict[str, Any]]) -> None:
    """Findings that no build stops for, but for notes: `check` tells those."""
    for finding in findings:
        if finding["severity"] == "note":
            continue
        console.progress(console.finding_text(finding))


def warn_of_packages(report: BuildReport) -> None:
    """What samples and measurements of the packages' models tell, each once, with all its targets."""
    told: dict[str, list[dict[str, Any]]] = {}
    for package in report.packages:
        for finding in package.findings:
            key = f"{finding['code']} {finding['model']} {finding['message']}"
            told.setdefault(key, []).append(finding)
    for found in told.values():
        targets = list(dict.fromkeys(finding["target"] for finding in found))
        more = f" and {len(targets) - _TARGETS} more" if len(targets) > _TARGETS else ""
        shown = {**found[0], "target": ", ".join(targets[:_TARGETS]) + more}
        console.progress(console.finding_text(shown))


def tell(report: BuildReport, origin: float, overrides: Sequence[str]) -> int:
    """The summary of a build, how long it took, and its exit code."""
    from modelbuild.cli.summary import summary

    warn_of_packages(report)
    text = "" if console.is_quiet() else summary(report, console.is_verbose())
    console.summary(text, report.to_json())
    tell_settings(report, overrides)
    console.progress(f"took {console.duration(monotonic() - origin)}")
    return report.exit_code


def tell_settings(report: BuildReport, overrides: Sequence[str]) -> None:
    """That what lies in `dist/` now is not what the manifest says, if so."""
    shipped = ", ".join(package.name for package in report.packages if package.files)
    if shipped and overrides:
        import shlex

        settings = " ".join(f"--set {shlex.quote(text)}" for text in overrides)
        console.progress(
            f"note: {DIST}/ has {shipped} as built with {settings}, which the manifest does not say; "
            "a build without it puts back what the manifest says"
        )


def error_json(error: ModelbuildError) -> dict[str, Any]:
    """An error before the build began, as `build --json` shows it."""
    failures = [{"action": "", "message": str(problem)} for problem in error.problems]
    return {**BuildReport((), {}, ()).to_json(), "ok": False, "failures": failures}
