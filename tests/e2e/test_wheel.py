"""The wheel holds recipes and templates and works outside the source tree."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.e2e.command import REPOSITORY
from tests.e2e.conftest import copy_short


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=REPOSITORY,
        check=True,
        capture_output=True,
        timeout=120,
    )
    (path,) = folder.glob("modelbuild-*.whl")
    return path


def test_what_the_wheel_holds(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    for path in sorted((REPOSITORY / "recipes").rglob("*.yaml")) + sorted(
        (REPOSITORY / "templates").rglob("*.j2")
    ):
        assert f"modelbuild/data/{path.relative_to(REPOSITORY).as_posix()}" in names
    assert "modelbuild/py.typed" in names
    assert not [name for name in names if name.startswith(("tests/", "examples/", "docs/"))]


def test_it_builds_the_example_without_the_source_tree(wheel: Path, tmp_path: Path) -> None:
    installed = tmp_path / "installed"
    zipfile.ZipFile(wheel).extractall(installed)
    folder = copy_short(tmp_path / "digits")
    # -P and PYTHONPATH: the unpacked wheel comes before the editable install of the source tree
    program = (
        "import modelbuild, sys; from modelbuild.cli.main import main;"
        "print(modelbuild.__file__); sys.exit(main())"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", program, "build", "digits-modalix", "-j", "1"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(installed))
    assert (folder / "dist/digits-modalix/digits_mpk.sim.tar.gz").is_file()
    assert (folder / "reports/digits-modalix/report.html").is_file()
