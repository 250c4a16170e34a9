"""Predicted speed of what a manifest names, or of a model file.

For a file nothing of manifests is loaded: half of the time that a small one takes would go there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
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
from modelbuild.graph.statistics import macs_by_origin
from modelbuild.npu.choices import group_of
from modelbuild.npu.predicting import measured
from modelbuild.npu.predicting.assumptions import Options, check_formats, replaced
from modelbuild.npu.predicting.comparison import beside
from modelbuild.npu.predicting.vendor_reports import report, table_of_nodes
from modelbuild.project.model_files import check_suffix, explained
from modelbuild.project.steps import Steps, Told
from modelbuild.stages.backends import of_arithmetic

if TYPE_CHECKING:
    from modelbuild.arithmetic.fixed_model import FixedModel
    from modelbuild.project.building import Observer
    from modelbuild.project.project import Project


def evaluate(
    project: Project, names: Sequence[str] = (), observer: Observer | None = None
) -> list[dict[str, Any]]:
    """The `evaluate` objects of the selection, in its order, each with its `target`; of kmodels that are
    built, and up to date, those of the files themselves. Raises the first failure."""
    from modelbuild.build.jobs import processors
    from modelbuild.project.as_built import as_built
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
        requests = {one.action("evaluate"): one for one in project.plan.models.values()}
        built = as_built(project, (requests[action] for action in wanted), "compile", "evaluate.json")
        return [
            read_json(built.get(action) or there.builder.output(result, action, "evaluate.json"))
            | {"target": requests[action].target}
            for action in wanted
        ]


@dataclass(frozen=True)
class Asked:
    """What is asked: `shapes` of open inputs, a file's `weights` where they are apart, the `edition` of
    operator tables, what is `told` in place of the model's and the recipe's (fields of `Options`), a file of
    `measured` times, the vendor's `form` of a report, and whether other programs are to be tried for what
    would help (`advise`)."""

    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    told: Mapping[str, Any] = field(default_factory=dict)
    weights: Path | None = None
    edition: str | None = None
    measured: Path | None = None
    form: str | None = None
    advise: bool = False


@dataclass(frozen=True)
class Answer:
    """The `evaluate` object, the vendor's report, and its table of nodes: name and contents of files."""

    said: dict[str, Any]
    report: tuple[str, bytes] | None = None
    table: tuple[str, bytes] | None = None


@dataclass(frozen=True)
class Lowered:
    """A model as a chip runs it: where its nodes run, and why not on the NPU. `source_macs` are those of the
    model before the passes of the chip. `base` is assumed where nothing else is told; `replaced` is told
    beside what replaces that. `built` is the fixed model of a file that is built already."""

    name: str
    graph: Graph
    units: Mapping[str, str]
    reasons: Mapping[str, str]
    source_macs: Mapping[str, int]
    base: Options = field(default_factory=Options)
    replaced: Mapping[str, Any] = field(default_factory=dict)
    built: FixedModel | None = None


def evaluate_file(
    path: Path,
    chip: str,
    shapes: Mapping[str, tuple[int, ...]],
    options: Options | None,
    weights: Path | None = None,
    edition: str | None = None,
) -> dict[str, Any]:
    """The `evaluate` object of a model file on a chip."""
    usual = vars(Options())
    told = {name: value for name, value in vars(options or Options()).items() if value != usual[name]}
    (found,) = answers(path, (chip,), Asked(shapes, told, weights, edition))
    return found.said


def answers(path: Path, chips: Sequence[str], asked: Asked, observer: Observer | None = None) -> list[Answer]:
    """A model file, which is read once, on each chip. Nodes that nothing runs are listed, not refused. The
    observer hears of it as of actions: of one that reads, and of one for each chip."""
    steps = Steps(observer, 1 + len(chips))
    recipes = [load_recipe(chip, Path.cwd(), asked.edition) for chip in chips]
    times = None if asked.measured is None else measured.read(asked.measured)
    check_suffix(path)
    try:
        with steps.step(f"{path.stem}:import"):
            graph, _ = normalise(importers.load(path, asked.shapes, (), asked.weights))
    except ModelbuildError as error:
        raise explained(error, path, asked.shapes) from None
    found = []
    for recipe in recipes:
        with steps.step(f"{path.stem}@{recipe.chip}:evaluate") as told:
            found.append(answer(_lowered(graph, path.stem, recipe), recipe, asked, times, told))
    return found


def _lowered(graph: Graph, name: str, recipe: Recipe) -> Lowered:
    found, _ = run_passes(graph, recipe.passes)
    placement = place(found, recipe)
    return Lowered(name, found, placement.units, placement.reasons, macs_by_origin(graph))


def what_is_done(tiling: str, number: int) -> str:
    """What progress counts, in the words of builds; of a further program for `advise`, which one it is."""
    return group_of(tiling) + (f", program {number}" if number > 1 else "")


def answer(
    lowered: Lowered,
    recipe: Recipe,
    asked: Asked,
    times: measured.Measured | None,
    told: Told | None = None,
) -> Answer:
    """The prediction of what is asked about a model on a chip. `told` hears how far each program is that is
    counted."""
    programs = count(1)
    predicting = of_arithmetic(recipe.number_format.arithmetic).predicting()

    def again(options: Options) -> Any:
        number = next(programs)

        def tell(done: int, groups: int, tiling: str) -> None:
            if told is not None:
                told(done, groups, what_is_done(tiling, number))

        if lowered.built is not None:
            return predicting.of_built(lowered.graph, lowered.units, recipe, lowered.built, options=options)
        return predicting.predict(lowered.graph, lowered.units, recipe, options, tell)

    check_formats(recipe, asked.told)
    found = again(replace(lowered.base, **asked.told))
    said = predicting.said(found, lowered.reasons, lowered.source_macs, again if asked.advise else None)
    said |= {"model": lowered.name}
    changed = {**lowered.replaced, **replaced(recipe, lowered.base, asked.told)}
    if changed:
        said["replaced"] = changed
    if times is not None:
        said["measured"] = beside(times, said, found.recipe.hardware.clock_hz.value)
    if asked.form is None:
        return Answer(said)
    return Answer(said, report(found, said, asked.form), table_of_nodes(found, said, asked.form))
