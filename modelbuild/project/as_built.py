"""What a build has left already, for predictions: times of the file itself, not of what would be made."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from modelbuild.errors import ModelbuildError
from modelbuild.project.project import Project
from modelbuild.stages.request import ModelRequest


def as_built(project: Project, requests: Iterable[ModelRequest], stage: str, name: str) -> dict[str, Path]:
    """The file that a stage behind calibration left, by the action `evaluate` of each request whose program
    was compiled as a build would compile it now, and is timed. Runs nothing."""
    planned = project.plan.names()
    timed = [one for one in requests if one.times_built and one.action("compile") in planned]
    if not timed:
        return {}
    wanted = [one.action("compile") for one in timed]
    try:
        result = project.builder.build(project.plan.actions, wanted, jobs=1, dry_run=True)
    except ModelbuildError:  # of samples that are gone, or a folder that nothing can be read from
        return {}
    return {
        one.action("evaluate"): project.builder.output(result, one.action(stage), name)
        for one in timed
        if result.states[one.action("compile")] == "cached"
    }
