"""Predicted speed of what a manifest names."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from modelbuild.errors import EXIT_FAILED, ModelbuildError
from modelbuild.project.building import Observer
from modelbuild.project.goals import goals
from modelbuild.project.project import Project, located
from modelbuild.stages.files import read_json


def evaluate(project: Project, names: Sequence[str], observer: Observer | None) -> list[dict[str, Any]]:
    """The `evaluate` objects of the selection, in its order. Raises the first failure."""
    wanted = goals(project, names, until="evaluate")
    result = project.builder.build(
        project.plan.actions, wanted, jobs=os.cpu_count() or 1, keep_going=True, observer=observer
    )
    for action, error in result.failures:
        raise located(project, action, error)
    if not result.ok:
        raise ModelbuildError("not everything could be evaluated", exit_code=EXIT_FAILED)
    return [read_json(project.builder.output(result, action, "evaluate.json")) for action in wanted]
