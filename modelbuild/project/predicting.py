"""Predicted speed of what a manifest names, or of a model file.

For a file nothing of manifests is loaded: half of the time that a small one takes would go there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelbuild import importers
from modelbuild.chips.load import load_recipe
from modelbuild.errors import EXIT_FAILED, ModelbuildError
from modelbuild.graph.check import place
from modelbuild.graph.normalise import normalise
from modelbuild.graph.passes import run_passes
from modelbuild.npu import cost
from modelbuild.project.model_files import check_suffix, explained

if TYPE_CHECKING:
    from modelbuild.project.building import Observer
    from modelbuild.project.project import Project


def evaluate(
    project: Project, names: Sequence[str] = (), observer: Observer | None = None
) -> list[dict[str, Any]]:
    """The `evaluate` objects of the selection, in its order. Raises the first failure."""
    from modelbuild.build.jobs import processors
    from modelbuild.project.elsewhere import able
    from modelbuild.project.goals import goals
    from modelbuild.project.project import located
    from modelbuild.stages.files import read_json

    wanted = goals(project, names, until="evaluate")
    with able(project, wanted) as there:
        result = there.builder.build(
            there.plan.actions, wanted, jobs=processors(), keep_going=True, observer=observer
        )
        for action, error in result.failures:
            raise located(project, action, error)
        if not result.ok:
            raise ModelbuildError("not everything could be evaluated", exit_code=EXIT_FAILED)
        return [read_json(there.builder.output(result, action, "evaluate.json")) for action in wanted]


def evaluate_file(
    path: Path,
    chip: str,
    shapes: Mapping[str, tuple[int, ...]],
    options: cost.Options | None,
    weights: Path | None = None,
    edition: str | None = None,
) -> dict[str, Any]:
    """The `evaluate` object of a model file on a chip. Nodes that nothing runs are listed, not refused."""
    recipe = load_recipe(chip, Path.cwd(), edition)
    check_suffix(path)
    try:
        graph, _ = normalise(importers.load(path, shapes, (), weights))
    except ModelbuildError as error:
        raise explained(error, path, shapes) from None
    graph, _ = run_passes(graph, recipe.passes)
    placement = place(graph, recipe)
    found = cost.evaluate(graph, placement.units, recipe, options)
    unsupported = [{**node, "reason": placement.reasons[node["name"]]} for node in found["unsupported"]]
    return {**found, "unsupported": unsupported, "model": path.stem}
