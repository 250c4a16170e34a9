"""Predicted speed of what a manifest names, or of a model file.

For a file nothing of manifests is loaded: half of the time that a small one takes would go there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelbuild import importers
from modelbuild.chips.load import load_recipe
from modelbuild.chips.recipe import Recipe
from modelbuild.errors import EXIT_FAILED, ModelbuildError
from modelbuild.graph.check import place
from modelbuild.graph.model import Graph
from modelbuild.graph.normalise import normalise
from modelbuild.graph.passes import run_passes
from modelbuild.npu.predicting import advice, measured, prediction
from modelbuild.npu.predicting.assumptions import Options
from modelbuild.npu.predicting.comparison import beside
from modelbuild.npu.predicting.vendor_reports import report
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


@dataclass(frozen=True)
class Asked:
    """What is asked about a model file: `shapes` of open inputs, the file's `weights` where they are apart,
    the `edition` of operator tables, what to assume, a file of `measured` times, the vendor's `form` of a
    report, and whether other programs are to be tried for what would help (`advise`)."""

    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    options: Options | None = None
    weights: Path | None = None
    edition: str | None = None
    measured: Path | None = None
    form: str | None = None
    advise: bool = False


@dataclass(frozen=True)
class Answer:
    """The `evaluate` object, and the vendor's report: name and contents of a file."""

    said: dict[str, Any]
    report: tuple[str, bytes] | None = None


def evaluate_file(
    path: Path,
    chip: str,
    shapes: Mapping[str, tuple[int, ...]],
    options: Options | None,
    weights: Path | None = None,
    edition: str | None = None,
) -> dict[str, Any]:
    """The `evaluate` object of a model file on a chip."""
    (answer,) = answers(path, (chip,), Asked(shapes, options, weights, edition))
    return answer.said


def answers(path: Path, chips: Sequence[str], asked: Asked) -> list[Answer]:
    """A model file, which is read once, on each chip. Nodes that nothing runs are listed, not refused."""
    recipes = [load_recipe(chip, Path.cwd(), asked.edition) for chip in chips]
    times = None if asked.measured is None else measured.read(asked.measured)
    check_suffix(path)
    try:
        graph, _ = normalise(importers.load(path, asked.shapes, (), asked.weights))
    except ModelbuildError as error:
        raise explained(error, path, asked.shapes) from None
    return [_answer(graph, path.stem, recipe, asked, times) for recipe in recipes]


def _answer(graph: Graph, name: str, recipe: Recipe, asked: Asked, times: measured.Measured | None) -> Answer:
    lowered, _ = run_passes(graph, recipe.passes)
    placement = place(lowered, recipe)

    def again(options: Options) -> prediction.Prediction:
        return prediction.predict(lowered, placement.units, recipe, options)

    found = again(asked.options or Options())
    said = prediction.to_json(found, placement.reasons) | {"model": name}
    said["unsupported"] = [
        {**node, "reason": placement.reasons[node["name"]]} for node in said["unsupported"]
    ]
    said |= advice.to_json(found, again if asked.advise else None)
    if times is not None:
        said["measured"] = beside(times, said, found.recipe.hardware.clock_hz.value)
    return Answer(said, None if asked.form is None else report(found, said, asked.form))
