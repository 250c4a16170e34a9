"""Before a locked build: the lock must be true of the manifest and its files, item by item."""

from __future__ import annotations

from dataclasses import replace

from modelbuild.errors import ModelbuildError
from modelbuild.manifest.lockfile import other_manifest
from modelbuild.manifest.plan import plan
from modelbuild.manifest.samples import Sets
from modelbuild.project import lock_differences
from modelbuild.project.options import BuildOptions
from modelbuild.project.project import Project
from modelbuild.project.selection import Selection


def locked(project: Project, selection: Selection, options: BuildOptions) -> Project:
    """The project as the options want it built: as it is, or from its lock, with which nothing that decides
    the selection's bytes may disagree. Raises ModelbuildError (exit 2) naming every item that does."""
    if not options.locked:
        if options.remeasure:
            raise ModelbuildError(
                "--remeasure is about locked measurements", advice="write `build --locked --remeasure`"
            )
        return project
    if project.lock is None:
        raise ModelbuildError("a locked build needs a project that was opened with `locked=True`")
    other = other_manifest(project.lock, project.manifest.path.name)
    if other is not None:
        raise ModelbuildError.of([other])
    packaged = [
        (one.request.model, one.request.target)
        for name in selection.packages
        for one in project.plan.packages[name].models
    ]
    pairs = list(dict.fromkeys((*packaged, *selection.pairs)))
    found = lock_differences.of_models(project.manifest, project.lock, pairs)
    found += lock_differences.of_packages(project.manifest, project.lock, selection.packages)
    if options.remeasure:
        found += lock_differences.of_samples(project.manifest, project.lock, Sets(project.manifest), pairs)
    if found:
        raise ModelbuildError.of(difference.problem() for difference in dict.fromkeys(found))
    if not options.remeasure:
        return project
    return replace(project, plan=plan(project.manifest, project.lock, remeasure=True))
