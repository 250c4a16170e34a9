"""modelbuild from Python: what the command line calls, and the objects that its `--json` prints."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from modelbuild.artifacts import comparing, feeds, running
from modelbuild.artifacts.comparing import Comparison
from modelbuild.artifacts.inspect import inspect as _inspect
from modelbuild.artifacts.runner import Runner, open_runner
from modelbuild.artifacts.running import RunResult
from modelbuild.build.survey import ActionStatus
from modelbuild.build.why import Explanation
from modelbuild.chips.load import chip_names, load_recipe
from modelbuild.chips.recipe import Recipe
from modelbuild.errors import ModelbuildError
from modelbuild.manifest.settings import Settings, effective
from modelbuild.npu.cost import Options
from modelbuild.project import building, checking, forms, goals, predicting, starting
from modelbuild.project.building import BuildReport, Observer
from modelbuild.project.checking import CheckReport
from modelbuild.project.project import Project, open_project
from modelbuild.samples.preprocess import from_settings

__all__ = [
    "BuildReport",
    "CheckReport",
    "Comparison",
    "ModelbuildError",
    "Project",
    "RunResult",
    "build",
    "check",
    "chips",
    "clean",
    "compare",
    "config",
    "evaluate",
    "init",
    "inspect",
    "open_project",
    "recipe",
    "run",
    "status",
    "why",
]

build = building.build
check = checking.check
init = starting.init
inspect = _inspect


def status(project: Project, names: Sequence[str] = ()) -> dict[str, ActionStatus]:
    """What a build of the selection would find for each action it needs. Runs nothing."""
    return project.builder.status(project.plan.actions, goals.goals(project, names))


def why(project: Project, name: str) -> list[Explanation]:
    """Why an action, or each action of a MODEL, MODEL@TARGET or PACKAGE, ran last and would run next."""
    actions = goals.actions_named(project, name)
    return [project.builder.why(project.plan.actions, action) for action in actions]


def config(project: Project, pair: str) -> Settings:
    """The effective settings of MODEL@TARGET and where each came from."""
    model, at, target = pair.partition("@")
    if not at:
        raise ModelbuildError(f"`{pair}` is not MODEL@TARGET", advice="write for instance face_detect@cam")
    return effective(project.manifest, model, target)


def clean(project_root: Path) -> None:
    """Removes the build state, `dist/` and `reports/`. Sources and settings stay."""
    building.clean(project_root)


def evaluate(
    source: str | Path,
    chip: str,
    *,
    shapes: Mapping[str, tuple[int, ...]] | None = None,
    options: Options | None = None,
) -> dict[str, Any]:
    """The predicted speed of an ONNX file on a chip, without a manifest: the object of `evaluate --json`."""
    from modelbuild import importers
    from modelbuild.graph.normalise import normalise
    from modelbuild.graph.passes import run_passes
    from modelbuild.graph.check import place
    from modelbuild.npu.cost import evaluate as predict

    path = Path(source)
    found = load_recipe(chip, Path.cwd())
    graph, _ = normalise(importers.load(path, shapes or {}))
    graph, _ = run_passes(graph, found.passes)
    predicted = predict(graph, place(graph, found).units, found, options)
    return {**predicted, "model": path.stem}


def evaluate_selected(
    project: Project, names: Sequence[str] = (), observer: Observer | None = None
) -> list[dict[str, Any]]:
    """The predicted speed of every selected model on its targets."""
    return predicting.evaluate(project, names, observer)


def sample_files(project: Project, text: str) -> list[str]:
    """`[NAME=]SET`, where SET is a sample set of the manifest, as `NAME=FILE` options; other text unchanged."""
    return forms.sample_files(project, text)


def run(
    source: str | Path,
    inputs: Sequence[str],
    *,
    model: str | None = None,
    raw: bool = False,
    preprocess: Mapping[str, Mapping[str, Any]] | None = None,
) -> RunResult:
    """Run a model file on `[NAME=]FILE` inputs: .onnx, .fixed.onnx, NEF or MPK of ours."""
    runner = open_file(source, model, preprocess)
    return run_opened(runner, inputs, raw=raw)


def open_file(
    source: str | Path, model: str | None = None, preprocess: Mapping[str, Mapping[str, Any]] | None = None
) -> Runner:
    """A model file as something that runs. `preprocess` is input -> settings, for files that carry none."""
    chosen = {name: from_settings(given) for name, given in (preprocess or {}).items()}
    return open_runner(Path(source), model, chosen)


def run_opened(runner: Runner, inputs: Sequence[str], *, raw: bool = False, base: Path | None = None) -> RunResult:
    """`run` for what is open already; relative files start at `base`."""
    return running.run(runner, feeds.parse(inputs, runner.inputs, base or Path.cwd()), raw)


def save_outputs(result: RunResult, path: Path) -> None:
    """Writes the outputs as .npz under their names; the file is complete or absent."""
    running.save(result, path)


def compare(
    reference: Runner, candidate: Runner, inputs: Sequence[str], *, layers: bool = False, base: Path | None = None
) -> Comparison:
    """Run both on the same inputs and compare their outputs, and with `layers` every tensor both have."""
    feed = feeds.parse(inputs, reference.inputs, base or Path.cwd())
    return comparing.compare(reference, candidate, feed, layers)


def open_form(project: Project, pair: str, level: str, observer: Observer | None = None) -> Runner:
    """The float, fixed or hardware form of MODEL@TARGET, built first where it must be."""
    return forms.open_form(project, pair, level, observer)


def chips() -> list[str]:
    """The chips that recipes are there for."""
    return chip_names()


def recipe(chip: str) -> Recipe:
    """A chip's facts."""
    return load_recipe(chip, Path.cwd())


def processors() -> int:
    """How many actions run side by side unless told."""
    return os.cpu_count() or 1
