"""Projects that are made once: a locked one, and one in a repository with hooks."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from modelbuild.project import hooks, locking
from modelbuild.project.building import build
from modelbuild.project.options import BuildOptions
from modelbuild.project.project import open_project
from modelbuild.project.staged_check import check_staged
from tests.project.git_harness import TEXT, Git, project_repository
from tests.project.locked_project import write_project
from tests.project.small_project import write_manifest


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


@pytest.fixture(scope="session")
def built_repository(tmp_path_factory: pytest.TempPathFactory) -> Git:
    """A repository with a project in a folder of its own, built, and hooks. Not to be changed: take `git`."""
    git = project_repository(tmp_path_factory.mktemp("built") / "a repository", "sub dir")
    hooks.install(git.folder / "sub dir", "models.yaml")
    assert check_staged(git.folder / "sub dir").ok
    assert build(open_project(git.folder / "sub dir")).ok
    return git


@pytest.fixture
def git(built_repository: Git, tmp_path: Path) -> Git:
    """A copy that a test may change."""
    shutil.copytree(built_repository.folder, tmp_path / "a repository", symlinks=True)
    (tmp_path / "home").mkdir()
    git = Git(tmp_path / "a repository", tmp_path / "home")
    git("update-index", "-q", "--refresh")
    return git


@pytest.fixture
def project(git: Git) -> Path:
    """The project's folder."""
    return git.folder / "sub dir"


@pytest.fixture
def branches(git: Git, project: Path) -> Git:
    """Built on `main`; on `other` the gate differs; `main` is checked out."""
    subprocess.run([*hooks.own_command(), "-q", "-C", str(project), "build"], check=True)
    git("checkout", "-q", "-b", "other")
    write_manifest(project, TEXT.replace("snr_db: 5", "snr_db: 6"))
    git.commit("another gate")
    git("checkout", "-q", "main")
    return git
