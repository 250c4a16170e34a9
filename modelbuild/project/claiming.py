"""Packages of one name in two manifests of a folder: there is one `dist/<package>`, and one has it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from modelbuild.errors import ModelbuildError, Problem
from modelbuild.manifest.load import load
from modelbuild.project.layout import DIST, REPORTS
from modelbuild.project.project import Project
from modelbuild.stages.request import PackageRequest


def taken_over(project: Project, packages: Iterable[PackageRequest]) -> tuple[str, ...]:
    """Folders of these packages that another manifest had, and whose that was: `dist/p was other.yaml's`.

    To be called inside `hold`. Raises ModelbuildError (exit 2) if another manifest, that is there and has a
    package of that name still, has made one of them: each build would replace what the other made."""
    taken: list[str] = []
    problems: list[Problem] = []
    for package in packages:
        for top, owner in _others(project, package.package):
            folder = f"{top}/{package.package}"
            if _has(project.root / owner, package.package):
                problems.append(_clash(project, package.package, folder, owner))
                break
            taken.append(f"{folder} was {owner}'s")
    if problems:
        raise ModelbuildError.of(problems)
    return tuple(taken)


def _others(project: Project, package: str) -> Iterator[tuple[str, str]]:
    for top in (DIST, REPORTS):
        owner = project.builder.owner(Path(top) / package)
        if owner not in ("", project.manifest.path.name):
            yield top, owner


def _has(manifest: Path, package: str) -> bool:
    """Whether the manifest may still build the package: one that is broken for the moment may."""
    if not manifest.exists():
        return False
    try:
        return package in load(manifest, needs_samples=False).packages
    except ModelbuildError:
        return True


def _clash(project: Project, package: str, folder: str, owner: str) -> Problem:
    manifest = project.manifest
    return Problem(
        f"{folder} was made from {owner}, which has a package of that name, too",
        where=manifest.position(("packages", manifest.packages[package].entry)),
        why=f"each build of {owner} and of {manifest.path.name} would replace what the other made",
        advice="rename it in one of them; or take it out of one, `modelbuild clean`, and build again",
    )
