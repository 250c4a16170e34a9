"""A locked project, made once."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from modelbuild.project import locking
from modelbuild.project.options import BuildOptions
from modelbuild.project.project import open_project
from tests.project.locked_project import write_project


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A locked project, with what `lock` built. Not to be changed."""
    folder = tmp_path_factory.mktemp("original")
    write_project(folder)
    assert locking.lock(open_project(folder), (), BuildOptions(jobs=1)).build.ok
    return folder


@pytest.fixture
def checkout(original: Path, tmp_path: Path) -> Path:
    """What git would check out of it: nothing that was built."""
    left = shutil.ignore_patterns(".modelbuild", "dist", "reports")
    return Path(shutil.copytree(original, tmp_path / "checkout", ignore=left))


@pytest.fixture
def warm(original: Path, tmp_path: Path) -> Path:
    """A copy with all that was built."""
    return Path(shutil.copytree(original, tmp_path / "warm"))
