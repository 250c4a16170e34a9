"""What the words on the command line mean in actions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from modelbuild.errors import ModelbuildError, did_you_mean
from modelbuild.project.project import Project
from modelbuild.project.selection import Selection, select
from modelbuild.stages.request import ModelRequest, PackageRequest
from modelbuild.toolchains import builtin

_ENDS = ("evaluate", "verify_fixed", "check_calibration", "check_result", "compile")  # of a model alone
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
    every = [*models, *(packaged.request for package in packages for packaged in package.models)]
    names = [model.action(wanted) for model in every]
    names += [package.action(wanted) for package in packages]
    names += [package.action(wanted, p.request.model) for package in packages for p in package.models]
    found = _planned(project, names)
    if not found:
        there = {action.name.rsplit(":", 1)[1] for action in project.plan.actions}
        stages = [stage for stage in builtin.PIPELINE if stage in there]
        raise ModelbuildError(
            f"--until: nothing selected has a stage `{stage}`",
            advice=f"{did_you_mean(wanted, stages)} stages are {', '.join(stages)}".lstrip(),
        )
    return found


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
