"""The small project of `golden`, built, and its stages run by hand on inputs that a test may exchange."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from modelbuild.build.action import Action, FileInput, OutputOf
from modelbuild.build.result import BuildResult
from modelbuild.project.project import Project, open_project
from tests.stages.golden import MANIFEST, write_project


@dataclass(frozen=True)
class Built:
    """A project and the result of building everything in it."""

    project: Project
    result: BuildResult

    def action(self, name: str) -> Action:
        """The planned action of that name."""
        return next(action for action in self.project.plan.actions if action.name == name)

    def path(self, action: str, name: str) -> Path:
        """An output file."""
        return self.project.builder.output(self.result, action, name)

    def inputs(self, name: str) -> dict[str, Path]:
        """Role -> file, as the builder hands them to the stage."""
        action = self.action(name)
        return {role: self._file(source) for role, source in {**action.inputs, **action.soft_inputs}.items()}

    def run(
        self,
        name: str,
        out: Path,
        inputs: Mapping[str, Path] | None = None,
        parameters: Mapping[str, Any] | None = None,
    ) -> Path:
        """Runs an action's stage here, with `inputs` and `parameters` over its own; the folder it wrote."""
        action = self.action(name)
        module, _, function = action.function.partition(":")
        out.mkdir(parents=True, exist_ok=True)
        stage = getattr(import_module(module), function)
        given = {**action.parameters, **action.unkeyed, **(parameters or {})}
        stage({**self.inputs(name), **(inputs or {})}, given, out)
        return out

    def _file(self, source: FileInput | OutputOf) -> Path:
        if isinstance(source, FileInput):
            return self.project.root / source.path
        return self.path(source.action, source.name)


def build(folder: Path, manifest: str = MANIFEST) -> Built:
    """Writes the project into `folder` and builds it."""
    write_project(folder, manifest)
    return opened(folder)


def opened(folder: Path) -> Built:
    """A project that lies there, brought up to date."""
    project = open_project(folder)
    goals = [action.name for action in project.plan.actions]
    result = project.builder.build(project.plan.actions, goals, jobs=1)
    assert result.ok, result.failures
    return Built(project, result)
