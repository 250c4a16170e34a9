"""How packages lie in `dist/` and `reports/`, beside what the last build made of them. Writes nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from modelbuild.build.result import BuildResult
from modelbuild.build.state import State, open_state
from modelbuild.errors import ModelbuildError
from modelbuild.project.building import shipped
from modelbuild.project.goals import goals_of
from modelbuild.project.project import DIST, REPORTS, STATE, Project
from modelbuild.project.selection import select
from modelbuild.stages.request import PackageRequest

_WORDS = {
    "missing": "is missing",
    "altered": "was altered",
    "other": "is of a build with other settings or files",
    "unexpected": "does not belong there",
}


@dataclass(frozen=True)
class Difference:
    """A file that is not as it was built; `unexpected` ones are beside those that belong there, and `other`
    ones are what some other build made, such as one with `--set`: nobody altered them."""

    path: str
    kind: Literal["missing", "altered", "other", "unexpected"]

    def __str__(self) -> str:
        return f"{self.path} {_WORDS[self.kind]}"


@dataclass(frozen=True)
class Standing:
    """A package on the disk. Without differences it is as the next build would leave it."""

    package: str
    differences: tuple[Difference, ...]

    def to_json(self) -> dict[str, Any]:
        """The object in `packages` of `status --json`."""
        found = [{"path": one.path, "state": one.kind} for one in self.differences]
        return {"name": self.package, "ok": not found, "files": found}


def standings(project: Project, names: Sequence[str] = ()) -> list[Standing]:
    """The selected packages whose actions are up to date, so that it is known what has to lie there."""
    selection = select(project.manifest, names)
    packages = [project.plan.packages[name] for name in selection.packages]
    wanted = goals_of(project, selection, None)
    result = project.builder.build(project.plan.actions, wanted, jobs=1, dry_run=True)
    state = open_state(project.root, project.root / STATE, writable=False)
    return [
        Standing(package.package, tuple(_differences(project, state, result, package)))
        for package in packages
        if any(result.states[package.action(stage)] == "cached" for stage in ("gate", "report"))
    ]


def _differences(
    project: Project, state: State, result: BuildResult, package: PackageRequest
) -> Iterator[Difference]:
    if result.states[package.action("gate")] == "cached":
        yield from _compare(state, shipped(project, result, package.package), f"{DIST}/{package.package}")
    report = result.outputs.get(package.action("report"))
    if report is not None:
        yield from _compare(state, report, f"{REPORTS}/{package.package}")


def _compare(state: State, files: Mapping[str, str], folder: str) -> Iterator[Difference]:
    present = set(_files_below(state.root / folder))
    for name in sorted(files.keys() | present):
        path = f"{folder}/{name}"
        if name not in present:
            yield Difference(path, "missing")
        elif name not in files:
            yield Difference(path, "unexpected")
        elif (digest := _digest(state, path)) != files[name]:
            yield Difference(path, "other" if digest and state.store.path(digest).exists() else "altered")


def _files_below(folder: Path) -> Iterator[str]:
    for parent, folders, names in os.walk(folder):
        links = [name for name in folders if os.path.islink(os.path.join(parent, name))]  # noqa: PTH114, PTH118
        yield from (Path(parent, name).relative_to(folder).as_posix() for name in (*names, *links))


def _digest(state: State, path: str) -> str:
    try:
        return state.stat_cache.digest_now(path, state.root / path)
    except ModelbuildError:
        return ""  # whatever it is, it is not what was built
