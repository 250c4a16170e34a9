"""The command in this process, on a small project that is built already."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from modelbuild import api
from modelbuild.cli.main import main
from modelbuild.project.options import BuildOptions
from tests.cli.exported_model import SHAPE, save
from tests.stages.golden import write_project


@dataclass(frozen=True)
class Said:
    """What one command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """Standard output by lines."""
        return self.out.splitlines()

    @property
    def json(self) -> Any:
        """Standard output with --json."""
        return json.loads(self.out)


Command = Callable[..., Said]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    """`command(folder, "status", "-v")`."""

    def run(folder: Path, *words: str) -> Said:
        capsys.readouterr()
        code = main([*words, "-C", str(folder)])
        captured = capsys.readouterr()
        return Said(code, captured.out, captured.err)

    return run


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of one model on three targets, built. Not to be changed: take `copied` for that."""
    folder = tmp_path_factory.mktemp("small")
    write_project(folder)
    assert api.build(api.open_project(folder), (), BuildOptions(jobs=1)).ok
    return folder


@pytest.fixture
def copied(small: Path, tmp_path: Path) -> Path:
    """A built copy that a test may change."""
    return Path(shutil.copytree(small, tmp_path / "small", symlinks=True))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with `net.onnx`: Conv, BatchNormalization, Identity, Relu, Softmax."""
    save(tmp_path / "net.onnx", SHAPE)
    return tmp_path


def edit(folder: Path, old: str, new: str) -> None:
    """Replace text in the manifest, which must hold it."""
    path = folder / "models.yaml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
