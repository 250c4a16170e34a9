"""What the words on the command line mean in actions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from modelbuild.errors import ModelbuildError, did_you_mean
from modelbuild.project.project import Project
from modelbuild.project.selection import Selection, select
from modelbuild.stages.request import ModelRequest, PackageRequest
from modelbuild.toolchains import builtin

_ENDS = ("evaluate", "verify_fixed", "check_calibration", "check_result", "compile")  # of a model alone
_OF_PACKAGES = (*builtin.PACKAGE_STAGES, *builtin.STAGES_OF_PACKAGED_MODEL)
# Why a stage is left out that models or packages may do without.
_ABSENT = {
    "check_calibration": "it looks at what `calibration` names, where no record is used",
    "check_samples": "it looks at samples, and no model names any",
    "fetch": "no source is an address",
    "import_fixed": "no source is a .fixed.onnx",
    "locked": "it is of `--locked` builds",
    "observe": "it takes what `calibration` names, where no record is used",
    "remeasure": "it is of `--locked --remeasure`",
    "verify_fixed": "no model names samples to measure with",
}
ONLY_CHECKED = ":check_samples"  # asked for by `check`, and by no build


def goals(project: Project, names: Sequence[str], until: str | None = None) -> list[str]:
    """The actions that a selection asks for; with `until`, those of that stage, and nothing after it."""
    return goals_of(project, select(project.manifest, names), until)


def goals_of(project: Project, selection: Selection, until: str | None) -> list[str]:
    """As `goals`, for a selection made already."""
    packages = [project.plan.packages[name] for name in selection.packages]
    models = [request_of(project, pair) for pair in selection.pairs]
    if until is None:
        ends = [package.action(stage) for package in packages for stage in ("gate", "report")]
        ends += [model.action(stage) for model in models for stage in _ENDS]
        return _planned(project, ends)
    return _until(project, packages, models, until)


def request_of(project: Project, pair: tuple[str, str]) -> ModelRequest:
    """What was planned for a model on a target. Raises ModelbuildError where no package asks for the two."""
    found = project.plan.models.get(pair)
    if found is not None:
        return found
    model, target = pair
    raise ModelbuildError(
        f"no package has {model}@{target}, so nothing is built for it",
        advice=f"add {model} to a package with `target: {target}`",
    )


def _until(
    project: Project, packages: Sequence[PackageRequest], models: Sequence[ModelRequest], stage: str
) -> list[str]:
    wanted = stage.replace("-", "_")
    found = _of_stage(project, packages, models, wanted)
    if not found:
        raise _no_stage(project, packages, models, wanted)
    return found


def _of_stage(
    project: Project, packages: Sequence[PackageRequest], models: Sequence[ModelRequest], stage: str
) -> list[str]:
    every = [*models, *(packaged.request for package in packages for packaged in package.models)]
    names = [model.action(stage) for model in every]
    names += [package.action(stage) for package in packages]
    names += [package.action(stage, p.request.model) for package in packages for p in package.models]
    return _planned(project, names)


def _no_stage(
    project: Project, packages: Sequence[PackageRequest], models: Sequence[ModelRequest], wanted: str
) -> ModelbuildError:
    """Why nothing that is selected has the stage, and which stages it has."""
    if wanted in _OF_PACKAGES and not packages:
        return _of_packages(project, models, wanted)
    there = [stage for stage in builtin.PIPELINE if _of_stage(project, packages, models, stage)]
    fixed = [model.model for model in models if model.is_fixed]
    why = _ABSENT.get(wanted, "")
    if wanted in builtin.STAGES and fixed and len(fixed) == len(models):
        why = f"{fixed[0]} is a .fixed.onnx: there is nothing to import, predict or quantize, it is compiled"
    return ModelbuildError(
        f"nothing selected has a stage `{wanted}`",
        why=why,
        advice=f"{did_you_mean(wanted, there)} stages are {', '.join(there)}".lstrip(),
    )


def _of_packages(project: Project, models: Sequence[ModelRequest], wanted: str) -> ModelbuildError:
    chosen = {(model.model, model.target) for model in models}
    having = [
        name
        for name, package in sorted(project.plan.packages.items())
        if any((one.request.model, package.target) in chosen for one in package.models)
        and _of_stage(project, [package], [], wanted)
    ]
    why = "a model by itself ends with `compile`"
    if wanted in builtin.STAGES_OF_PACKAGED_MODEL:
        why += "; the simulator runs the bytes that are in a package"
        if all(model.settings["verify"]["hardware"] == "none" for model in models):
            why += ", and with `verify: {hardware: none}` no sample"
    way_out = f"`modelbuild build {having[0]} --until {wanted}`" if having else "put the model into a package"
    return ModelbuildError(
        f"`{wanted}` is a stage of packages, and no package is selected", why=why, advice=way_out
    )


def _planned(project: Project, names: Iterable[str]) -> list[str]:
    planned = project.plan.names()
    return [name for name in dict.fromkeys(names) if name in planned]


def actions_named(project: Project, name: str) -> list[str]:
    """The actions that a name on the command line stands for: one action's own name, or every action that a
    MODEL, MODEL@TARGET or PACKAGE has itself. Raises ModelbuildError with the nearest names."""
    every = [action.name for action in project.plan.actions]
    if name in every:
        return [name]
    built = [action for action in every if not action.endswith(ONLY_CHECKED)]
    owned = [action for action in built if action.rsplit(":", 1)[0].split("/")[0] == name]
    if not owned and name in project.manifest.spec.models:
        owned = [action for action in built if action.startswith(f"{name}@")]
    if owned:
        return owned
    raise ModelbuildError(
        f"there is no action, model or package `{name}`",
        advice=did_you_mean(name, every) or "`modelbuild status -v` lists the actions",
    )
