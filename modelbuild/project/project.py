"""Open a project: load the manifest, plan it, and have a builder for it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from modelbuild.build import cycles
from modelbuild.build.build import Builder
from modelbuild.errors import ModelbuildError, Problem
from modelbuild.graph.edit_places import number_at
from modelbuild.manifest import lockfile
from modelbuild.manifest.load import load
from modelbuild.manifest.lockfile import Lock
from modelbuild.manifest.manifest import Manifest
from modelbuild.manifest.places import of_items
from modelbuild.manifest.plan import Plan, plan
from modelbuild.manifest.settings import Settings, effective
from modelbuild.project.layout import DIST, ENVIRONMENT, REPORTS, STALE, STATE

__all__ = [
    "DIST",
    "ENVIRONMENT",
    "REPORTS",
    "STALE",
    "STATE",
    "Project",
    "evaluation_place",
    "located",
    "open_project",
]


@dataclass(frozen=True)
class Project:
    """A loaded manifest, its actions, and the builder of its folder."""

    manifest: Manifest
    plan: Plan
    builder: Builder
    lock: Lock | None = None  # of a project that was opened to be built from it
    overrides: tuple[str, ...] = ()  # as they were written
    began_ns: int = 0  # of `time.time_ns()`: nothing was read before

    @property
    def root(self) -> Path:
        """The manifest's folder."""
        return self.manifest.root


def open_project(
    directory: Path | str = ".",
    file: str = "models.yaml",
    overrides: Sequence[str] = (),
    *,
    selected: Sequence[str] = (),
    locked: bool = False,
) -> Project:
    """The project of `directory`/`file`. Raises ModelbuildError with all that is wrong in the manifest.

    `overrides` are `KEY=VALUE` settings for this run, of what is `selected` (packages, models, MODEL@TARGET),
    of everything if nothing is. `locked`: planned from `modelbuild.lock`, without
    samples, which need not be there."""
    began_ns = time.time_ns()
    path = Path(directory) / file
    with cycles.not_sought():  # that costs a third of loading and planning
        manifest = load(path, overrides, selected=selected, needs_samples=not locked)
        root = manifest.root
        lock = lockfile.read(root) if locked else None
        planned = plan(manifest, lock)
    builder = Builder(root, root / STATE, environment=ENVIRONMENT, owner=path.name)
    builder.hide(manifest.secrets)
    return Project(manifest, planned, builder, lock, tuple(overrides), began_ns)


def located(project: Project, action: str, error: ModelbuildError) -> ModelbuildError:
    """The error of an action, with a place in the manifest where it names one of the model's keys."""
    model, _, target = action.split(":")[0].partition("@")
    if model not in project.manifest.spec.models:
        return error
    problems = [_located(project.manifest, model, target, problem) for problem in error.problems]
    return ModelbuildError.of(problems, error.exit_code)


def evaluation_place(manifest: Manifest, model: str) -> str:
    """Where the model's evaluation set is chosen; the calibration set, where that serves."""
    chosen = [
        key for key in ("evaluation", "calibration") if getattr(manifest.spec.models[model], key) is not None
    ]
    return manifest.position(("models", model, *chosen[:1]))


def _located(manifest: Manifest, model: str, target: str, problem: Problem) -> Problem:
    number = number_at(problem.where)
    if number is not None:
        return _of_edit(manifest, model, target, number, problem)
    key, _, rest = problem.where.partition(".")
    if key == "inputs":
        where = manifest.position(("models", model, "inputs", *_of_input(manifest, model, rest)))
    elif key == "source":
        where = manifest.position(("models", model, "source", "url"))
    elif key == "evaluation":
        where = evaluation_place(manifest, model)
    elif key == "calibration" and target:
        where = effective(manifest, model, target).origin((key,))
    elif key in ("accept", "compile", "quantize") and target:
        where = _of_setting(effective(manifest, model, target), key, rest)
    else:
        return problem
    return problem._replace(where=where)


def _of_setting(settings: Settings, key: str, rest: str) -> str:
    """Where the key was written; a range that nobody wrote is the scheme's."""
    path = (key, *rest.split(".", 1))
    if settings.scheme is not None and not any(leaf[: len(path)] == path for leaf in settings.origins):
        path = ("quantize", "scheme")
    return settings.origin(path)


def _of_input(manifest: Manifest, model: str, rest: str) -> tuple[str, ...]:
    """The keys of `NAME.preprocess`; a name may have dots itself."""
    known = [name for name in manifest.spec.models[model].inputs if f"{rest}.".startswith(f"{name}.")]
    name = max(known, key=len, default=rest)
    further = rest[len(name) + 1 :]
    return (*filter(None, (name,)), *(further.split(".") if further else ()))


def _of_edit(manifest: Manifest, model: str, target: str, number: int, problem: Problem) -> Problem:
    """The place of the edit, from 1 or -1, and the model: others may share the list."""
    pairs = [pair for pair in manifest.pairs() if pair[0] == model and target in ("", pair[1])]
    if not pairs:
        return problem
    settings = effective(manifest, *pairs[0])
    places = of_items(manifest, settings, ("edit",), len(settings.values["edit"]))
    where = places[number - 1 if number > 0 else number]
    return problem._replace(where=where, what=f"{model}: {problem.what}")
