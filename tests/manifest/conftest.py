"""A small project on disk, and short ways to load its manifest."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from modelbuild.errors import ModelbuildError
from modelbuild.manifest.load import load
from modelbuild.manifest.manifest import Manifest

HEAD = "modelbuild: 1\n"
GOOD = """\
modelbuild: 1
samples:
  faces: {files: faces/*.png}
models:
  net: {source: net.onnx, calibration: faces}
targets:
  cam: {chip: kl720}
packages:
  bell: {target: cam, models: {net: {id: 32768, version: "0001"}}}
"""


class Project:
    """A folder with a model, four pictures in `faces`, three in `street`, and a manifest to be written."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.write("net.onnx", "not read by the manifest")
        for folder, count in (("faces", 4), ("street", 3)):
            for index in range(count):
                self.write(f"{folder}/{index}.png", f"{folder}{index}")

    def write(self, name: str, text: str) -> Path:
        """Writes a file of the project."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")
        return path

    def load(self, text: str, *set_options: str) -> Manifest:
        """The manifest with this text."""
        return load(self.write("models.yaml", text), set_options)

    def errors(self, text: str, *set_options: str) -> list[tuple[str, str]]:
        """(where, what) of everything that is wrong with this text."""
        with pytest.raises(ModelbuildError) as caught:
            self.load(text, *set_options)
        assert caught.value.exit_code == 2
        return [(problem.where, problem.what) for problem in caught.value.problems]

    def warnings(self, text: str) -> list[tuple[str, int | None, str]]:
        """(code, line, message) of the warnings about this text."""
        return [(found.code, found.line, found.message) for found in self.load(text).warnings]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


@pytest.fixture
def place() -> Callable[[str, str], str]:
    """`models.yaml:LINE:COLUMN` of the first time that `wanted` stands in `text`."""

    def find(text: str, wanted: str) -> str:
        before = text[: text.index(wanted)]
        return f"models.yaml:{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"

    return find
