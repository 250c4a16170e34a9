"""After a build: what it rests on is noted, so that `cache gc` leaves it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from modelbuild.build import roots
from modelbuild.build.build import Builder
from modelbuild.build.remember import label
from modelbuild.build.roots import About, Keys
from modelbuild.build.state import State
from modelbuild.errors import ModelbuildError
from modelbuild.project.options import BuildOptions
from modelbuild.project.settled import noted_as

if TYPE_CHECKING:  # a build of what changed loads no manifest
    from modelbuild.project.project import Project


def note_roots(project: Project, words: Sequence[str], options: BuildOptions, *, whole: bool) -> None:
    """Notes the results of the last build for the request that `words` stand for; to be called inside `hold`.

    `whole`: all of the manifest, which then counts whatever becomes of the manifest's text. A disk that
    refuses costs at most building again."""
    manifest = project.manifest
    request = noted_as(manifest.path.name, words, project.overrides, options)

    def keep(state: State, keys: Keys, planned: Sequence[str]) -> None:
        names = {label(state, str(path)): path for path in manifest.files}
        sources = {name: state.stat_cache.digest_now(name, path) for name, path in names.items()}
        about = About(manifest.path.name, sources, whole and not project.overrides)
        roots.note(state.folder, state.scratch, request, about, keys, planned)

    with suppress(ModelbuildError):
        project.builder.note(keep)


def note_again(builder: Builder, request: str) -> None:
    """As `note_roots`, after a build of some of the actions of a request that was noted before."""

    def keep(state: State, keys: Keys, planned: Sequence[str]) -> None:
        roots.note_again(state.folder, state.scratch, request, keys)

    with suppress(ModelbuildError):
        builder.note(keep)
