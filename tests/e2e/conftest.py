"""A built copy of the digits example, made once a test session and copied for each test that changes it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.e2e.command import REPOSITORY, modelbuild

EXAMPLE = REPOSITORY / "examples" / "digits"
JUDGED = 40  # digits, of 400


def copy_example(destination: Path) -> Path:
    """The example as it is committed: without what builds leave."""
    shutil.copytree(EXAMPLE, destination, ignore=shutil.ignore_patterns(".modelbuild", "dist", "reports"))
    return destination


def copy_short(destination: Path) -> Path:
    """The example, measured on fewer digits: for tests of what a build does, not of how good the model is."""
    manifest = copy_example(destination) / "models.yaml"
    text = manifest.read_text(encoding="utf-8")
    short = text.replace("evaluation: test", f"evaluation: {{set: test, count: {JUDGED}}}")
    assert short != text
    manifest.write_text(short, encoding="utf-8")
    return destination


@pytest.fixture
def digits(tmp_path: Path) -> Path:
    """The example, not built."""
    return copy_example(tmp_path / "digits")


@pytest.fixture(scope="session")
def built_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The short example, built. Not to be changed: take `built` for that."""
    folder = copy_short(tmp_path_factory.mktemp("built") / "digits")
    done = modelbuild(folder, "build", "-j", "1", "--json")
    assert done.code == 0, done.err
    return folder


@pytest.fixture
def built(built_once: Path, tmp_path: Path) -> Path:
    """A built copy that a test may change."""
    folder = tmp_path / "digits"
    shutil.copytree(built_once, folder, symlinks=True)
    return folder
