"""What the documentation shows works as it stands."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from modelbuild.cli.main import VERBS
from tests.e2e.command import REPOSITORY, modelbuild

DOCS = REPOSITORY / "docs"


def test_the_python_example_runs(built_once: Path, tmp_path: Path) -> None:
    page = (DOCS / "command-line.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```python\n(.*?)```", page, re.S)
    shutil.copytree(built_once, tmp_path / "examples/digits")
    done = subprocess.run(
        [sys.executable, "-c", block], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("True ['passed']")


def test_the_readmes_first_project(built_once: Path, tmp_path: Path) -> None:
    shutil.copytree(built_once / "data/calibration", tmp_path / "images")
    shutil.copy(built_once / "models/digits.onnx", tmp_path / "model.onnx")
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    block = readme.split("## A first project")[1].split("```")[1]
    commands = [line.removeprefix(".venv/bin/modelbuild ") for line in block.strip().splitlines()]
    assert [command.split()[0] for command in commands] == ["init", "check", "build"]
    for command in commands:
        words = command.replace("'images/*.jpg'", "images/*.png").split()
        done = modelbuild(tmp_path, *words)
        assert done.code == 0, done.err
    assert (tmp_path / "dist/model/models_720.sim.nef").is_file()


def test_every_verb_and_every_page_is_documented() -> None:
    text = (DOCS / "command-line.md").read_text(encoding="utf-8")
    assert all(f"`modelbuild {verb}" in text for verb in VERBS)
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    for page in DOCS.glob("*.md"):
        assert f"docs/{page.name}" in readme, f"README does not lead to {page.name}"


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda page: page.name)
def test_pages_that_a_page_names_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for name in re.findall(r"`?(docs/[\w-]+\.(?:md|json))`?", text):
        assert (REPOSITORY / name).is_file(), name
    for name in re.findall(r"`((?:modelbuild|recipes|templates|tests|bench)/[\w./-]+\.\w+)`", text):
        assert (REPOSITORY / name).is_file(), name
