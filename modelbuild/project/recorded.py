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
from modelbuild.chips.load import recipe_files
from modelbuild.errors import ModelbuildError
from modelbuild.globs import fixed_folder
from modelbuild.manifest.model import SampleSet
from modelbuild.manifest.reads import named, sample_patterns
from modelbuild.project.build_report import BuildReport
from modelbuild.project.building import Observer, build
from modelbuild.project.layout import ENVIRONMENT, MIRROR_LOCK, RECORDED, STATE
from modelbuild.project.options import BuildOptions
from modelbuild.project.project import Project, open_project
from modelbuild.project.reads import YAML, Reads, from_top
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
        builder.hide(project.manifest.secrets)
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
    project, top = recorded.project, recorded.tree.repository.top
    prefix = recorded.tree.repository.prefix(recorded.original)
    manifest = project.manifest
    recipes = [
        path for one in manifest.spec.targets.values() for path in recipe_files(one.chip, project.root)
    ]
    names = [os.path.relpath(project.root / path, project.root) for path, _ in named(manifest, project.lock)]
    names += [path for action in project.plan.actions for path in action.paths().values()]
    sources = [path for model in manifest.spec.models.values() if (path := model.source_path)]
    folders = [fixed_folder(pattern) for pattern in sample_patterns(manifest, project.lock)]
    folders += [fixed_folder(pattern) for pattern in manifest.included if not pattern.endswith(YAML)]
    folders += [] if found is not None else map(posixpath.dirname, sources)
    texts = [".", *(os.path.relpath(path.parent, project.root) for path in recipes)]
    texts += map(fixed_folder, manifest.included)
    inside = from_top(top, prefix, folders)
    files = from_top(top, prefix, [*names, *(found or ())])
    return Reads(
        files=frozenset(
            path for path in files if not any(path.startswith(f"{folder}/") for folder in inside)
        ),
        folders=inside,
        manifests=from_top(top, prefix, texts),
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
