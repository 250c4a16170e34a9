"""Predictions for models of a manifest under other assumptions, or on other chips: beside what is built.

The stages before a prediction are built as for any build. What is predicted of them here is no artifact: no
`evaluate.json` and no package holds what a command line assumed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from modelbuild.build.jobs import processors
from modelbuild.build.plan import plan as graph_of
from modelbuild.build.result import BuildResult
from modelbuild.chips.load import load_recipe
from modelbuild.chips.recipe import Recipe
from modelbuild.errors import EXIT_FAILED, ModelbuildError
from modelbuild.formats.nef_generations import FLATBUFFER
from modelbuild.graph import onnx_io
from modelbuild.graph.statistics import macs_by_origin
from modelbuild.manifest import overrides
from modelbuild.manifest.manifest import Manifest
from modelbuild.manifest.packages import DEFAULT_VERSION, Package, PackagedModel
from modelbuild.manifest.plan import Plan, plan
from modelbuild.manifest.problems import Problems
from modelbuild.manifest.settings import recipe_settings
from modelbuild.npu.predicting import measured
from modelbuild.npu.predicting.assumptions import Options
from modelbuild.project.as_built import as_built
from modelbuild.project.building import Observer
from modelbuild.project.elsewhere import able
from modelbuild.project.goals import goals
from modelbuild.project.merging import Merged
from modelbuild.project.predicting import Answer, Asked, Lowered, answer
from modelbuild.project.project import Project, located
from modelbuild.project.steps import Steps
from modelbuild.quantize import fixed_onnx
from modelbuild.stages import evaluate as stage
from modelbuild.stages.check import read_placement, refuse_errors
from modelbuild.stages.files import validated
from modelbuild.stages.request import ModelRequest


@dataclass(frozen=True)
class _Subject:
    """A model on a target, or on another chip in its place. `names`: what its actions are called in the plan
    of all; `replaced`: what is not the target's own, as in the object of evaluate."""

    request: ModelRequest
    names: Mapping[str, str]
    replaced: Mapping[str, Any] = field(default_factory=dict)
    is_own: bool = True


# What of `Asked.told` changes how long a file takes, and not what is in it.
_RATES = frozenset(
    {
        "clock_hz",
        "dram_read_bytes_per_second",
        "dram_write_bytes_per_second",
        "weight_bytes_per_second",
    }
)


def assumed(
    project: Project,
    names: Sequence[str],
    asked: Asked,
    chips: Sequence[str] = (),
    observer: Observer | None = None,
) -> list[Answer]:
    """The predictions of a selection, in its order, each with what its target says where `asked` says nothing
    else; of kmodels that are built already, where rates alone are told, those of the files. With `chips`, or
    an edition, those of one MODEL@TARGET as if its target were of these. Nodes that nothing runs there are
    listed; on the target's own chip they are an error, as in a build. Raises the first failure, and settings
    of the target that a chip cannot obey."""
    times = None if asked.measured is None else measured.read(asked.measured)
    planned = {request.action("evaluate"): request for request in project.plan.models.values()}
    requests = [planned[name] for name in goals(project, names, until="evaluate")]
    merged = Merged()
    subjects = [_Subject(request, _added(merged, project.plan, request, "")) for request in requests]
    if chips or asked.edition is not None:
        (own,) = subjects
        wanted = chips or (own.request.recipe["chip"],)
        subjects = [_on(project, merged, own, chip, asked.edition) for chip in wanted]
    built = _of_files(project, subjects, asked)
    with _built(project, merged, subjects, observer) as (there, result):
        steps = Steps(observer, len(subjects))
        return [_answer(there, result, subject, asked, times, steps, built) for subject in subjects]


def _of_files(project: Project, subjects: Sequence[_Subject], asked: Asked) -> Mapping[str, Path]:
    """The fixed models of those that are built as they are asked for, by their actions `evaluate`."""
    own = [subject.request for subject in subjects if subject.is_own and _RATES.issuperset(asked.told)]
    return as_built(project, own, "apply", "model.fixed.onnx")


def _added(merged: Merged, planned: Plan, request: ModelRequest, label: str) -> Mapping[str, str]:
    return merged.add(graph_of(planned.actions, [request.action("check")]).actions.values(), label)


def _on(project: Project, merged: Merged, own: _Subject, chip: str, edition: str | None) -> _Subject:
    """The same model, as if its target were of another chip, or of another edition of its toolchain."""
    request, root = own.request, project.manifest.root
    recipe, targets = load_recipe(chip, root, edition), request.recipe
    is_chip = recipe.chip == targets["chip"]
    if is_chip and edition in (None, targets["edition"]):
        return own
    recipe = recipe if edition is None else recipe.settled()
    planned = plan(_narrowed(project, request, recipe, () if is_chip else (_form(recipe),)))
    other = planned.models[request.model, request.target]
    if not is_chip:  # bytes of one chip's memory say nothing of another's
        compiling = {key: value for key, value in other.settings["compile"].items() if key != "sram_bytes"}
        other = replace(other, settings={**other.settings, "compile": compiling})
    changed = {"edition": {"value": edition, "instead_of": targets["edition"]}} if is_chip else {}
    names = _added(
        merged, planned, other, f"~{recipe.chip}" if edition is None else f"~{recipe.chip}~{edition}"
    )
    return _Subject(other, names, changed, is_own=False)


def _form(recipe: Recipe) -> str:
    """The form of packages that the chip has in any case, in place of the one that the target chose."""
    return f"compile.{FLATBUFFER}={str(recipe.container.setup == FLATBUFFER).lower()}"


def _narrowed(project: Project, request: ModelRequest, recipe: Recipe, laid: Sequence[str]) -> Manifest:
    manifest, pair = project.manifest, f"{request.model}@{request.target}"
    entry = PackagedModel(request.model, None, DEFAULT_VERSION, ("models", request.model))
    return replace(
        manifest,
        recipes={**manifest.recipes, request.target: recipe},
        recipe_settings={**manifest.recipe_settings, request.target: recipe_settings(recipe)},
        packages={pair: Package(pair, pair, request.target, None, (entry,))},
        overrides=(*manifest.overrides, *overrides.read(laid, Problems())),
        examined={},
    )


@contextmanager
def _built(
    project: Project, merged: Merged, subjects: Sequence[_Subject], observer: Observer | None
) -> Iterator[tuple[Project, BuildResult]]:
    """What the predictions read; in a folder of its own where the project's cannot be written."""
    wanted = list(dict.fromkeys(one.names[one.request.action("check")] for one in subjects))
    together = replace(project, plan=replace(project.plan, actions=merged.actions))
    with able(together, wanted) as there:
        result = there.builder.build(merged.actions, wanted, jobs=processors(), observer=observer)
        for action, error in result.failures:
            raise located(project, merged.plain(action), error)
        if not result.ok:
            raise ModelbuildError("not everything could be evaluated", exit_code=EXIT_FAILED)
        yield there, result


def _answer(
    project: Project,
    result: BuildResult,
    subject: _Subject,
    asked: Asked,
    times: measured.Measured | None,
    steps: Steps,
    built: Mapping[str, Path],
) -> Answer:
    request = subject.request
    fixed = built.get(request.action("evaluate")) if subject.is_own else None

    def read(action: str, name: str) -> Any:
        return project.builder.output(result, subject.names[request.action(action)], name)

    if subject.is_own:
        refuse_errors(read("check", "errors.json"), compiles=False)
    placed = read_placement(read("check", "check.json"))
    base = stage.parameters(request)
    lowered = Lowered(
        request.model,
        onnx_io.read(read("lower", "model.onnx")),
        {row["node"]: row["unit"] for row in placed},
        {row["node"]: row["reason"] for row in placed if row["reason"]},
        macs_by_origin(onnx_io.read(read("normalise", "model.onnx"))),
        Options(**base["options"], **base["formats"]),
        subject.replaced,
        None if fixed is None else fixed_onnx.read(fixed),
    )
    recipe = validated(Recipe, request.recipe)
    with steps.step(f"{request.model}@{request.target if subject.is_own else recipe.chip}:predict") as told:
        if not subject.is_own:
            return answer(lowered, recipe, asked, times, told)
        try:
            found = answer(lowered, recipe, asked, times, told)
        except ModelbuildError as error:
            raise located(project, request.action("evaluate"), error) from None
    return replace(found, said={**found.said, "target": request.target})
