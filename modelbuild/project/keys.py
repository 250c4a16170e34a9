"""The keys of encrypted packages: demanded before anything is built that needs them."""

from __future__ import annotations

from collections.abc import Iterable

from modelbuild.build.plan import plan
from modelbuild.errors import ModelbuildError, Problem
from modelbuild.project.project import Project


def require_keys(project: Project, goals: Iterable[str]) -> None:
    """Raises ModelbuildError where a package that is about to be built is to be encrypted with a key that is
    not there."""
    lacking = [package for package in project.plan.packages.values() if package.keys and package.keys.missing]
    if not lacking:
        return
    order = set(plan(project.plan.actions, list(goals)).order)
    problems = {
        Problem(what, place, f"the package {package.package} is encrypted", "set it, and build again"): None
        for package in lacking
        if package.keys and package.action("package") in order
        for what, place in package.keys.missing
    }
    if problems:
        raise ModelbuildError.of(problems)
