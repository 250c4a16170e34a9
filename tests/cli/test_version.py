"""`--version`: this version and the toolchains found, without importing anything heavy."""

from __future__ import annotations

import json
import subprocess
import sys
from types import SimpleNamespace

import pytest

from modelbuild import __version__, toolchains
from modelbuild.chips.load import chip_names, load_recipe
from modelbuild.cli.main import main
from modelbuild.errors import ModelbuildError
from modelbuild.formats import kmodel


def test_a_line_a_toolchain(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    first, *lines = capsys.readouterr().out.splitlines()
    assert first == f"modelbuild {__version__}"
    assert len(lines) == len(toolchains.TOOLCHAINS)
    assert lines[0].startswith(f"  builtin {__version__}: ") and "not for silicon" in lines[0]
    assert "float, fixed, hardware" in lines[0] and f"fingerprint builtin/{__version__}" in lines[0]


def test_the_object(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["version"] == __version__
    assert data["toolchains"][0] == {
        "name": "builtin",
        "found": True,
        "version": __version__,
        "levels": ["float", "fixed", "hardware"],
        "silicon": ["kpu@1", "float32"],
        "writes": {"kmodel": {"version": 5, "runtime": "nncase 1.9"}},
        "fingerprint": f"builtin/{__version__}",
        "message": "",
    }


def test_what_is_written_is_what_recipes_and_files_say() -> None:
    """One version and one runtime, wherever they are told."""
    said = toolchains.TOOLCHAINS["builtin"].WRITES["kmodel"]
    assert said["version"] == kmodel.WRITTEN and kmodel.RUNTIMES[kmodel.WRITTEN] == "nncase 1.x"
    recipes = [recipe for recipe in map(load_recipe, chip_names()) if recipe.container.format == "kmodel"]
    assert {recipe.chip for recipe in recipes} == {"k210", "nncase-cpu"}
    for recipe in recipes:
        assert recipe.edition == recipe.container.edition == "v1.9.0"
        assert said["runtime"] == f"nncase {recipe.edition.removeprefix('v').removesuffix('.0')}"


def test_a_toolchain_that_is_not_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def absent() -> str:
        raise ModelbuildError("ncc is not installed", advice="install it")

    other = SimpleNamespace(LEVELS=("hardware",), SILICON=("kpu@1",), WRITES={}, fingerprint=absent)
    monkeypatch.setitem(toolchains.TOOLCHAINS, "nncase", other)
    assert main(["--version"]) == 0
    assert "  nncase: not found: ncc is not installed" in capsys.readouterr().out.splitlines()
    assert main(["--version", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["toolchains"][-1]["found"] is False


def test_it_imports_nothing_heavy() -> None:
    program = (
        "import sys; from modelbuild.cli.main import main; main(['--version']); print(sorted(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    loaded = done.stdout.splitlines()[-1]
    assert not [name for name in ("numpy", "onnx", "pydantic", "rich", "yaml") if f"'{name}'" in loaded]
