"""modelbuild from Python: what the command line calls, and the objects that its `--json` prints.

Each function imports what it needs when it is called.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelbuild.errors import ModelbuildError, did_you_mean
from modelbuild.project.options import DEFAULT, BuildOptions
from modelbuild.project.project import Project, open_project

if TYPE_CHECKING:
    from modelbuild.artifacts.comparing import Comparison
    from modelbuild.artifacts.runner import Runner
    from modelbuild.artifacts.running import RunResult
    from modelbuild.build.survey import ActionStatus
    from modelbuild.build.why import Explanation
    from modelbuild.chips.recipe import Recipe
    from modelbuild.manifest.merge import Leaf
    from modelbuild.manifest.settings import Settings
    from modelbuild.npu.cost import Options
    from modelbuild.project.build_report import BuildReport
    from modelbuild.project.building import Observer
    from modelbuild.project.checking import CheckReport
    from modelbuild.project.graphing import Graph
    from modelbuild.project.lock_differences import Difference
    from modelbuild.project.locking import LockReport
    from modelbuild.project.pack_manifest import PackRequest
    from modelbuild.project.packing_file import Packed
    from modelbuild.project.standing import Standing
    from modelbuild.project.starting import Started
    from modelbuild.project.sweep_report import SweepReport

__all__ = [
    "BuildOptions",
    "ModelbuildError",
    "Project",
    "build",
    "check",
    "check_lock",
    "check_staged",
    "chips",
    "clean",
    "compare",
    "config",
    "configs",
    "dump",
    "evaluate",
    "evaluate_selected",
    "graph",
    "init",
    "inspect",
    "lock",
    "open_file",
    "open_form",
    "open_project",
    "overridden",
    "pack",
    "recipe",
    "run",
    "run_opened",
    "sample_files",
    "save_outputs",
    "standings",
    "status",
    "sweep",
    "why",
]


def build(
    project: Project,
    names: Sequence[str] = (),
    options: BuildOptions = DEFAULT,
    observer: Observer | None = None,
) -> BuildReport:
    """Build the selected packages, models and MODEL@TARGETs (all packages, if none are named).

    Packages whose gate passed are put into `dist/`, their reports into `reports/`. Failures of stages are in
    the result; a selector or stage that does not exist is a ModelbuildError."""
    from modelbuild.project import building

    return building.build(project, names, options, observer)


def dump(
    project: Project,
    names: Sequence[str],
    until: str | None,
    folder: Path,
    failures: Mapping[str, ModelbuildError] | None = None,
) -> None:
    """Replaces `folder` by what each stage of a selection has left, and by why those in `failures` have not.

    Raises ModelbuildError for a folder that holds other files."""
    from modelbuild.project import dumping

    dumping.check_folder(project.root, folder)
    dumping.dump(project, names, until, folder, failures or {})


def lock(
    project: Project,
    names: Sequence[str] = (),
    options: BuildOptions = DEFAULT,
    observer: Observer | None = None,
) -> LockReport:
    """Build the selected packages, and write `modelbuild.lock` and the records that it names."""
    from modelbuild.project import locking

    return locking.lock(project, names, options, observer)


def check_lock(project: Project, names: Sequence[str] = ()) -> list[Difference]:
    """Where `modelbuild.lock` is not what `lock` would write, as far as can be told by running nothing."""
    from modelbuild.project import locking

    return locking.check(project, names)


def check(project: Project, names: Sequence[str] = (), observer: Observer | None = None) -> CheckReport:
    """Every finding of the selected models on their targets."""
    from modelbuild.project import checking

    return checking.check(project, names, observer)


def check_staged(
    directory: Path | str = ".",
    file: str = "models.yaml",
    names: Sequence[str] = (),
    observer: Observer | None = None,
) -> CheckReport:
    """`check` of what the next commit would hold, by git's index, whatever the work tree looks like."""
    from modelbuild.project import staged_check

    return staged_check.check_staged(directory, file, names, observer)


def status(project: Project, names: Sequence[str] = ()) -> dict[str, ActionStatus]:
    """What a build of the selection would find for each action it needs. Runs nothing."""
    from modelbuild.project.goals import goals

    return project.builder.status(project.plan.actions, goals(project, names))


def standings(project: Project, names: Sequence[str] = ()) -> list[Standing]:
    """How the selected packages that are up to date lie in `dist/` and `reports/`. Runs nothing."""
    from modelbuild.project import standing

    return standing.standings(project, names)


def why(project: Project, name: str) -> list[Explanation]:
    """Why an action, or each action of a MODEL, MODEL@TARGET or PACKAGE, ran last and would run next."""
    from modelbuild.project.goals import actions_named

    return [project.builder.why(project.plan.actions, action) for action in actions_named(project, name)]


def graph(
    project: Project, names: Sequence[str] = (), level: str | None = None, *, status: bool = False
) -> Graph:
    """The plan of a selection as a graph: actions, models and packages, or stages, and the user's files."""
    from modelbuild.project import graphing

    return graphing.graph(project, names, level, status=status)


def sweep(
    project: Project,
    pair: str,
    tries: Sequence[str],
    options: BuildOptions = DEFAULT,
    observer: Observer | None = None,
) -> SweepReport:
    """Build MODEL@TARGET with every combination of `tries` (`KEY=a,b`) and rank them. `dist/` stays."""
    from modelbuild.project import sweeping

    return sweeping.sweep(project, pair, tries, options, observer)


def config(project: Project, pair: str) -> Settings:
    """The effective settings of MODEL@TARGET and where each came from."""
    from modelbuild.manifest.settings import effective

    model, at, target = pair.partition("@")
    if not at:
        raise ModelbuildError(f"`{pair}` is not MODEL@TARGET", advice="write for instance face_detect@cam")
    return effective(project.manifest, model, target)


def configs(project: Project, model: str) -> dict[str, Settings]:
    """Target -> the effective settings of a model there, for the targets that packages put it on."""
    found = [target for name, target in project.manifest.pairs() if name == model]
    if not found:
        known = project.manifest.spec.models
        why = "no package has it" if model in known else "there is no such model"
        raise ModelbuildError(
            f"`{model}` is on no target",
            why=why,
            advice=did_you_mean(model, set(known) - {model}) or "name MODEL@TARGET",
        )
    return {target: config(project, f"{model}@{target}") for target in found}


def overridden(project: Project, settings: Settings) -> dict[tuple[str, ...], tuple[Leaf, ...]]:
    """Setting -> what was written for it in other places and has no effect, the nearest first."""
    from modelbuild.manifest import overridden as replaced

    return replaced.overridden(project.manifest, settings)


def clean(root: Path, observer: Observer | None = None) -> tuple[str, ...]:
    """Removes the build state of the project in `root` and what builds put into `dist/` and `reports/`.

    Returns the folders removed, relative to `root`. Files that modelbuild did not make stay."""
    from modelbuild.project import building

    return building.clean(root, observer)


def init(
    source: str,
    chips: Sequence[str],
    *,
    directory: Path,
    file: str = "models.yaml",
    samples: Sequence[str] = (),
    shapes: Mapping[str, Sequence[int]] | None = None,
) -> Started:
    """Write `directory`/`file`, a commented manifest for the model file `source`. Overwrites nothing."""
    from modelbuild.project import starting

    return starting.init(source, chips, directory=directory, file=file, samples=samples, shapes=shapes)


def pack(
    request: PackRequest,
    output: Path,
    *,
    cache: Path | None = None,
    options: BuildOptions = DEFAULT,
    observer: Observer | None = None,
    warn: Callable[[str], None] = lambda text: None,
) -> Packed:
    """Builds the package of one model file and writes it to `output`, without a manifest."""
    from modelbuild.project import packing_file

    return packing_file.pack(request, output, cache=cache, options=options, observer=observer, warn=warn)


def evaluate(
    source: str | Path,
    chip: str,
    *,
    shapes: Mapping[str, tuple[int, ...]] | None = None,
    options: Options | None = None,
) -> dict[str, Any]:
    """The predicted speed of a model file on a chip, without a manifest: the object of `evaluate --json`."""
    from modelbuild.project import predicting

    return predicting.evaluate_file(Path(source), chip, shapes or {}, options)


def evaluate_selected(
    project: Project, names: Sequence[str] = (), observer: Observer | None = None
) -> list[dict[str, Any]]:
    """The predicted speed of every selected model on its targets."""
    from modelbuild.project import predicting

    return predicting.evaluate(project, names, observer)


def run(
    source: str | Path,
    inputs: str | Sequence[str],
    *,
    model: str | None = None,
    raw: bool = False,
    preprocess: Mapping[str, Mapping[str, Any]] | None = None,
) -> RunResult:
    """Run a model file (.onnx, .fixed.onnx, NEF or MPK of ours) on one `[NAME=]FILE` or several."""
    return run_opened(open_file(source, model, preprocess), inputs, raw=raw)


def open_file(
    source: str | Path, model: str | None = None, preprocess: Mapping[str, Mapping[str, Any]] | None = None
) -> Runner:
    """A model file as something that runs. `preprocess` is input -> settings, for files that carry none."""
    from modelbuild.artifacts.runner import open_runner
    from modelbuild.samples.preprocess import from_settings

    chosen = {name: from_settings(given) for name, given in (preprocess or {}).items()}
    return open_runner(Path(source), model, chosen)


def open_form(project: Project, pair: str, level: str, observer: Observer | None = None) -> Runner:
    """The float, fixed or hardware form of MODEL@TARGET, built first where it must be."""
    from modelbuild.project import forms

    return forms.open_form(project, pair, level, observer)


def run_opened(
    runner: Runner, inputs: str | Sequence[str], *, raw: bool = False, base: Path | None = None
) -> RunResult:
    """`run` for what is open already; relative files start at `base`."""
    from modelbuild.artifacts import feeds, running

    listed = [inputs] if isinstance(inputs, str) else inputs
    return running.run(runner, feeds.parse(listed, runner.inputs, base or Path.cwd()), raw)


def save_outputs(result: RunResult, path: Path) -> None:
    """Writes the outputs as .npz under their names; the file is complete or absent."""
    from modelbuild.artifacts import running

    running.save(result, path)


def compare(
    reference: Runner,
    candidate: Runner,
    inputs: Sequence[str],
    *,
    layers: bool = False,
    base: Path | None = None,
) -> Comparison:
    """Run both on the same inputs and compare their outputs, and with `layers` every tensor both have."""
    from modelbuild.artifacts import comparing, feeds

    return comparing.compare(
        reference, candidate, feeds.parse(inputs, reference.inputs, base or Path.cwd()), layers
    )


def sample_files(project: Project, text: str) -> list[str]:
    """`[NAME=]SET`, where SET is a sample set of the manifest, as `NAME=FILE` options; else the text."""
    from modelbuild.project import forms

    return forms.sample_files(project, text)


def inspect(path: str | Path) -> dict[str, Any]:
    """What is inside a file: the object of `inspect --json`."""
    from modelbuild.artifacts import inspect as inspecting

    return inspecting.inspect(Path(path))


def chips() -> list[str]:
    """The chips that recipes are there for."""
    from modelbuild.chips.load import chip_names

    return chip_names()


def recipe(chip: str) -> Recipe:
    """A chip's facts."""
    from modelbuild.chips.load import load_recipe

    return load_recipe(chip, Path.cwd())
