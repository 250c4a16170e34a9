"""The effective settings of models, and what was written for them in vain."""

from __future__ import annotations

from modelbuild.errors import ModelbuildError, did_you_mean
from modelbuild.manifest import overridden as replaced
from modelbuild.manifest.merge import Leaf
from modelbuild.manifest.settings import Settings, effective
from modelbuild.project.project import Project


def config(project: Project, pair: str) -> Settings:
    """The effective settings of MODEL@TARGET and where each came from."""
    model, at, target = pair.partition("@")
    if not at:
        raise ModelbuildError(f"`{pair}` is not MODEL@TARGET", advice="write for instance face_detect@cam")
    return effective(project.manifest, model, target)


def configs(project: Project, model: str) -> dict[str, Settings]:
    """Target -> the effective settings of a model there, for the targets that packages put it on."""
    found = [target for name, target in project.manifest.pairs() if name == model]
    if not found:
        raise _on_no_target(project, model)
    return {target: config(project, f"{model}@{target}") for target in found}


def _on_no_target(project: Project, name: str) -> ModelbuildError:
    models, packages = project.manifest.spec.models, project.manifest.packages
    if name in packages and name not in models:
        within = [f"{model.name}@{packages[name].target}" for model in packages[name].models]
        return ModelbuildError(f"`{name}` is a package", advice=f"name a model of it: {', '.join(within)}")
    pairs = ", ".join("@".join(pair) for pair in project.manifest.pairs())
    return ModelbuildError(
        f"`{name}` is on no target",
        why="no package has it" if name in models else "there is no such model",
        advice=did_you_mean(name, set(models) - {name}) or f"name MODEL@TARGET: {pairs}",
    )


def overridden(project: Project, settings: Settings) -> dict[tuple[str, ...], tuple[Leaf, ...]]:
    """Setting -> what was written for it in other places and has no effect, the nearest first."""
    return replaced.overridden(project.manifest, settings)
