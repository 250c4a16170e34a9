"""A build that has nothing to do, known from the snapshot of the last one without loading the project."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from modelbuild.build.recall import recall
from modelbuild.project.build_report import BuildReport, BuiltPackage
from modelbuild.project.options import DEFAULT, BuildOptions

STATE = ".modelbuild"


def request_of(path: Path, names: Sequence[str], overrides: Sequence[str], options: BuildOptions) -> str:
    """The name of the snapshot that tells of a request for the manifest at `path`: what was asked for, and by
    which Python with which libraries in its way."""
    asked = (path.name, list(names), list(overrides), options.until, options.locked)
    python = (sys.implementation.cache_tag, [os.path.abspath(entry) for entry in sys.path])  # noqa: PTH100
    return hashlib.sha256(repr((asked, python)).encode("utf-8", "surrogateescape")).hexdigest()[:32]


def unchanged(
    directory: Path | str,
    file: str,
    names: Sequence[str] = (),
    overrides: Sequence[str] = (),
    options: BuildOptions = DEFAULT,
) -> BuildReport | None:
    """The report of a build that would run nothing and change nothing; None where that cannot be said so.

    Loads nothing of the project, starts no process, waits for no other build."""
    if options.dry_run or options.remeasure:
        return None
    path = Path(directory, file).absolute()
    found = recall(path.parent, path.parent / STATE, request_of(path, names, overrides, options))
    if found is None or found.different:
        return None
    return report_of(found.snapshot.told, found.snapshot.actions)


def told(report: BuildReport) -> dict[str, Any]:
    """A report as plain values. Its actions are not among them: the snapshot has their names."""
    return {
        "packages": [{**package.to_json(), "changed": False} for package in report.packages],
        "warnings": list(report.warnings),
    }


def report_of(told: Mapping[str, Any], actions: Sequence[str]) -> BuildReport:
    """The report of a build that found everything as that one left it."""
    packages = tuple(BuiltPackage(**{**one, "files": tuple(one["files"])}) for one in told["packages"])
    return BuildReport(packages, dict.fromkeys(actions, "cached"), (), tuple(told["warnings"]))
