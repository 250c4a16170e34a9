"""What is said of a file of dist/ that is not there: what builds it, or what its package failed at."""

from __future__ import annotations

import argparse
from pathlib import Path

from modelbuild import api
from modelbuild.errors import ModelbuildError
from modelbuild.project.project import DIST, Project

_GATE = "gate"


def check(options: argparse.Namespace, word: str) -> None:
    """Raises for a file that a package of the manifest would have, and nothing has made."""
    root, path = Path(options.directory), Path(options.directory) / word
    if path.exists() or not (root / options.file).is_file():
        return
    try:
        package, *inside = path.absolute().relative_to((root / DIST).absolute()).parts
    except ValueError:  # elsewhere
        return
    project = api.open_project(options.directory, options.file)
    if inside and package in project.plan.packages:
        why, advice = _told(project, package)
        raise ModelbuildError(f"{word} is not there", why=why, advice=advice)


def _told(project: Project, name: str) -> tuple[str, str]:
    """Why, and what to do."""
    package = project.plan.packages[name]
    states = api.status(project, [name])
    failed = next((action for action, status in states.items() if status.state == "failed"), "")
    pairs = " or ".join(f"{one.request.model}@{package.target}" for one in package.models)
    forms = f"without a package, `run {pairs} --level hardware` runs it"
    if failed == package.action(_GATE):
        return (
            f"the package `{name}` failed its gate at the last build: a bound does not hold",
            f"`modelbuild build {name}` says which; {forms}",
        )
    if failed:
        return (
            f"the last build of the package `{name}` failed at {failed}",
            f"`modelbuild build {name}` says why",
        )
    made = all(status.state == "up to date" for status in states.values())
    why = "it is none of its files" if made else f"the package `{name}` is not built, or not as it is now"
    return why, f"`modelbuild build {name}` puts its files there"
