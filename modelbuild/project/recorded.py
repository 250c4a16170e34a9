"""A project as git has recorded it, in the index or in a commit: opened beside the work tree."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from modelbuild.build import disk, lock
from modelbuild.build.build import Builder
from modelbuild.build.result import Event
from modelbuild.errors import ModelbuildError
from modelbuild.manifest.model import SampleSet
from modelbuild.project.build_report import BuildReport
from modelbuild.project.building import Observer, build
from modelbuild.project.layout import ENVIRONMENT, MIRROR_LOCK, RECORDED, STATE
from modelbuild.project.options import BuildOptions
from modelbuild.project.project import Project, open_project
from modelbuild.project.reads import YAML, Reads, fixed_folder, from_top
from modelbuild.project.recorded_tree import Tree, mirror, relocated
from modelbuild.project.repository import Repository

SHARED = ("store", "records")


@dataclass(frozen=True)
class Recorded:
    """A project of a mirror. `original` is its folder in the work tree."""

    project: Project
    tree: Tree
    original: Path

    def told(self, error: ModelbuildError) -> ModelbuildError:
        """The error with the work tree's paths, and what to do about files that git was not told of."""
        return relocated(error, self.tree, self.original)


@contextmanager
def opened(
    repository: Repository,
    folder: Path,
    file: str,
    commit: str = "",
    observer: Observer | None = None,
    *,
    locked: bool = False,
) -> Iterator[Recorded]:
    """The project of `folder`/`file` as the index has it, or a commit. Its errors name the work tree's paths.

    Waits for another that has this folder's mirror. Raises as `open_project` and `mirror` do, and exit 2 if
    the manifest is not recorded.
    """
    state = folder / RECORDED
    waiting = (lambda: observer(Event("waiting"))) if observer else (lambda: None)
    with (
        lock.held(folder / MIRROR_LOCK, waiting),
        mirror(repository, folder, state / "tree", commit) as tree,
    ):
        inside = tree.folder(folder)
        if not (inside / file).is_file():
            raise _not_recorded(folder / file, commit)
        try:
            project = open_project(inside, file, locked=locked)
        except ModelbuildError as error:
            raise relocated(error, tree, folder) from error
        _share(folder / STATE, state)
        builder = Builder(inside, state, environment=ENVIRONMENT)
        yield Recorded(replace(project, builder=builder), tree, folder)


def build_commit(
    repository: Repository,
    folder: Path,
    file: str,
    commit: str,
    options: BuildOptions,
    observer: Observer | None = None,
) -> BuildReport:
    """Builds a commit beside the work tree. Its packages go with the mirror; results are kept."""
    with opened(repository, folder, file, commit, observer, locked=options.locked) as recorded:
        report = build(recorded.project, (), options, observer)
        failures = tuple((action, recorded.told(error)) for action, error in report.failures)
        return report._replace(failures=failures)


def reads_of(recorded: Recorded, found: Iterable[str] | None = None) -> Reads:
    """What the project reads of its repository. `found` are the files, relative to the project, that a check
    has read; without it, whatever lies beside or below a model may belong to it."""
    project, prefix = recorded.project, recorded.tree.repository.prefix(recorded.original)
    spec = project.manifest.spec
    samples = [path for written in spec.samples.values() for path in patterns(written)]
    samples += [
        written.labels for written in spec.samples.values() if written.labels not in (None, "folders")
    ]
    recipes = [
        target.chip for target in spec.targets.values() if "/" in target.chip or target.chip.endswith(YAML)
    ]
    manifests = [os.path.relpath(path, project.root) for path in project.manifest.files]
    sources = [path for model in spec.models.values() if (path := model.source_path)]
    folders = [*map(fixed_folder, samples), *(() if found is not None else map(posixpath.dirname, sources))]
    named = [path for action in project.plan.actions for path in action.paths().values()]
    inside = from_top(prefix, folders)
    files = from_top(prefix, [*manifests, *recipes, *named, *(found or ())])
    return Reads(
        files=frozenset(
            path for path in files if not any(path.startswith(f"{folder}/") for folder in inside)
        ),
        folders=inside,
        manifests=from_top(prefix, [".", *map(posixpath.dirname, recipes)]),
    )


def patterns(written: SampleSet) -> list[str]:
    """The globs and paths of a sample set, whatever inputs they are for."""
    inputs = (written.inputs or {}).values()
    return [*(written.files or ()), *(path for given in inputs for path in given.files)]


def _share(state: Path, private: Path) -> None:
    """What is known under a key is true of any tree: only times and names are kept apart."""
    try:
        for name in SHARED:
            disk.make_folder(state / name)
            link = private / name
            if not link.is_symlink():
                link.symlink_to(Path("..") / name)
    except OSError as error:
        raise disk.failure("prepare", private, error) from error


def _not_recorded(manifest: Path, commit: str) -> ModelbuildError:
    if commit:
        return ModelbuildError(f"the commit {commit[:12]} has no {manifest.name}", where=str(manifest))
    return ModelbuildError(
        f"{manifest.name} is not staged, and no commit has it",
        where=str(manifest),
        advice=f"`git add {manifest.name}`" if manifest.is_file() else "name the project's folder with -C",
    )
