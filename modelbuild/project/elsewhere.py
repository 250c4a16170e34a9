"""Checkouts that nothing can be written to: what is only looked at is worked out in a temporary folder."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from modelbuild.build.build import Builder
from modelbuild.project.layout import ENVIRONMENT, STATE
from modelbuild.project.project import Project
from modelbuild.project.scratch import scratch

_PREFIX = "modelbuild-elsewhere-"


@contextmanager
def able(project: Project, wanted: Sequence[str]) -> Iterator[Project]:
    """The project, with a builder that can run what of the actions `wanted` is not done yet: its own, or
    where its folder cannot be written, one of a folder that is gone afterwards. Raises OSError."""
    if _can_write(project) or _is_done(project, wanted):
        yield project
        return
    with scratch(_PREFIX) as folder:
        builder = Builder(project.root, folder, environment=ENVIRONMENT, owner=project.manifest.path.name)
        builder.hide(project.manifest.secrets)
        yield replace(project, builder=builder)


def _can_write(project: Project) -> bool:
    state = project.root / STATE
    return os.access(state if state.exists() else project.root, os.W_OK)


def _is_done(project: Project, wanted: Sequence[str]) -> bool:
    found = project.builder.build(project.plan.actions, wanted, jobs=1, dry_run=True)
    return set(found.states.values()) <= {"cached"}
