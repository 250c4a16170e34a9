"""A build that has nothing to do, known from the snapshot of the last one without loading the project."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from modelbuild.build.recall import Recalled, is_noted, recall
from modelbuild.project.build_report import BuildReport, BuiltPackage
from modelbuild.project.layout import STATE
from modelbuild.project.options import DEFAULT, BuildOptions


def request_of(
    root: str, file: str, names: Sequence[str], overrides: Sequence[str], options: BuildOptions
) -> str:
    """The name of the snapshot that tells of a request for the manifest `root`/`file`: what was asked for,
    by which Python with which libraries in its way, and what of the environment enters packages."""
    wanted = (file, list(names), list(overrides), options.until, options.locked, *_environment())
    asked = (os.path.realpath(root), *wanted)
    python = (sys.implementation.cache_tag, [os.path.abspath(entry) for entry in sys.path])  # noqa: PTH100
    return hashlib.sha256(repr((asked, python)).encode("utf-8", "surrogateescape")).hexdigest()[:32]


def noted_as(file: str, names: Sequence[str], overrides: Sequence[str], options: BuildOptions) -> str:
    """The name under which it is noted what a request rests on: the same wherever the checkout lies."""
    asked = (file, list(names), list(overrides), options.until, options.locked, sys.prefix, *_environment())
    return hashlib.sha256(repr(asked).encode("utf-8", "surrogateescape")).hexdigest()[:32]


def _environment() -> tuple[str, ...]:
    """The variables that decide bytes of packages: see `formats.source_date`. None where none is set, so that
    what is known of a request stays known."""
    told = os.environ.get("SOURCE_DATE_EPOCH", "")
    return (told,) if told else ()


def unchanged(
    directory: str | os.PathLike[str],
    file: str,
    names: Sequence[str] = (),
    overrides: Sequence[str] = (),
    options: BuildOptions = DEFAULT,
    *,
    renews: bool = True,
) -> BuildReport | None:
    """The report of a build that would run nothing and change nothing; None where that cannot be said so.

    Loads nothing of the project, starts no process, waits for no other build; writes nothing but what lets
    the next look be short, and not even that unless it `renews`."""
    return look(directory, file, names, overrides, options, renews=renews)[0]


def look(
    directory: str | os.PathLike[str],
    file: str,
    names: Sequence[str],
    overrides: Sequence[str],
    options: BuildOptions,
    *,
    renews: bool = True,
) -> tuple[BuildReport | None, Recalled | None]:
    """As `unchanged`, and what the look found: a build that is to follow need not look again."""
    if options.dry_run or options.remeasure:
        return None, None
    path = os.path.join(os.getcwd(), directory, file)  # noqa: PTH109, PTH118 - pathlib is slow to import
    root, name = os.path.split(path)
    if not is_noted(f"{root}/{STATE}", noted_as(name, names, overrides, options)):
        return None, None  # a build that plans all notes it again
    request = request_of(root, name, names, overrides, options)
    found = recall(root, f"{root}/{STATE}", request, renews=renews)
    if found is None or found.different:
        return None, found
    return report_of(found.snapshot.told, found.snapshot.actions), found


def told(report: BuildReport, secrets: Sequence[str]) -> dict[str, Any]:
    """A report as plain values, and the names of the variables that hold secrets. Its actions are not among
    them: the snapshot has their names."""
    return {
        "packages": [{**package.to_json(), "changed": False} for package in report.packages],
        "warnings": list(report.warnings),
        "unjudged": list(report.unjudged),
        "evaluated": list(report.evaluated),
        "secrets": list(secrets),
    }


def report_of(told: Mapping[str, Any], actions: Sequence[str]) -> BuildReport:
    """The report of a build that found everything as that one left it."""
    lists = ("files", "checks", "findings", "batches", "included")
    packages = tuple(
        BuiltPackage(**{**one, **{key: tuple(one.get(key, ())) for key in lists}}) for one in told["packages"]
    )
    unjudged, evaluated = tuple(told.get("unjudged", ())), tuple(told.get("evaluated", ()))
    states = dict.fromkeys(actions, "cached")
    return BuildReport(packages, states, (), tuple(told["warnings"]), unjudged=unjudged, evaluated=evaluated)
