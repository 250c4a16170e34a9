"""Open a project: load the manifest, plan it, and have a builder for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from modelbuild.build.build import Builder
from modelbuild.errors import ModelbuildError, Problem
from modelbuild.manifest.load import load
from modelbuild.manifest.manifest import Manifest
from modelbuild.manifest.plan import Plan, plan

STATE = ".modelbuild"
DIST = "dist"
STALE = "dist/.stale"
REPORTS = "reports"
# One core a worker: `-j` is what bounds the machine, and no result may depend on a thread count.
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "PYTHONHASHSEED": "0",
}


@dataclass(frozen=True)
class Project:
    """A loaded manifest, its actions, and the builder of its folder."""

    manifest: Manifest
    plan: Plan
    builder: Builder

    @property
    def root(self) -> Path:
        """The manifest's folder."""
        return self.manifest.root


def open_project(
    directory: Path | str = ".", file: str = "models.yaml", overrides: Sequence[str] = ()
) -> Project:
    """The project of `directory`/`file`. Raises ModelbuildError with all that is wrong in the manifest.

    `overrides` are `KEY=VALUE` settings for this run."""
    path = Path(directory) / file
    manifest = load(path, overrides)
    root = manifest.root
    return Project(manifest, plan(manifest), Builder(root, root / STATE, environment=ENVIRONMENT))


def located(project: Project, action: str, error: ModelbuildError) -> ModelbuildError:
    """The error of an action, with a place in the manifest where it names one of the model's keys."""
    model = action.split(":")[0].split("@")[0]
    if model not in project.manifest.spec.models:
        return error
    problems = [_located(project.manifest, model, problem) for problem in error.problems]
    return ModelbuildError.of(problems, error.exit_code)


def _located(manifest: Manifest, model: str, problem: Problem) -> Problem:
    key = problem.where.split(".", 1)
    if key[0] != "inputs":
        return problem
    path = ("models", model, "inputs", *key[1:])
    return Problem(problem.what, manifest.position(path), problem.why, problem.advice, problem.code)
