"""`modelbuild build` after files changed that actions read: only what they concern is loaded and built."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from typing import Any

from modelbuild.build.recall import Recalled
from modelbuild.cli import leaving, progress
from modelbuild.cli.progress.failures import Failures
from modelbuild.project.build_report import BuildReport
from modelbuild.project.options import BuildOptions
from modelbuild.project.rebuilding import Rebuilding


def rebuild(
    options: argparse.Namespace,
    chosen: BuildOptions,
    seen: Recalled | None,
    warn: Callable[[Iterable[dict[str, Any]]], None],
) -> BuildReport | None:
    """The report of the build, or None where all has to be loaded and looked at."""
    again = Rebuilding(options.directory, options.file, options.names, options.overrides, chosen, seen)
    if not again.is_known:
        return None
    failures = Failures(again.located, again.log)
    leaving.keep(again)
    with progress.shown(again.state, again.names, failures) as tell:
        report = again.build(tell, warn, _import_what_tells)
    if report is not None:
        failures.tell_all(report.failures)
    return report


def _import_what_tells() -> None:
    from modelbuild.cli import summary as _  # noqa: F401 - with which `cli.build` ends
