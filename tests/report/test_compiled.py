"""Compiled templates are found again, never where anything differs, and their damage costs nothing."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from jinja2 import Environment, FileSystemLoader

from modelbuild.report.compiled import Compiled


@pytest.fixture(autouse=True)
def writes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Bytecode is written beside its source, whatever the surroundings say."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.setattr(sys, "pycache_prefix", None)
    (tmp_path / "page.j2").write_text("{{ word }} one\n", encoding="utf-8")


def rendered(folder: Path, options: str = "") -> tuple[str, int]:
    """The page, and how many templates had to be compiled for it."""
    compiled = 0

    class Counted(Environment):
        def _generate(self, *arguments: object, **named: object) -> str:  # what jinja2 calls per compilation
            nonlocal compiled
            compiled += 1
            return super()._generate(*arguments, **named)  # type: ignore[arg-type]

    environment = Counted(loader=FileSystemLoader(folder), bytecode_cache=Compiled(folder, options))
    return environment.get_template("page.j2").render(word="a"), compiled


def kept(folder: Path) -> list[Path]:
    return sorted((folder / "__pycache__").glob("*"))


def test_it_is_compiled_once(tmp_path: Path) -> None:
    assert rendered(tmp_path) == ("a one", 1)
    assert rendered(tmp_path) == ("a one", 0)
    (only,) = kept(tmp_path)
    assert only.name.startswith("page.j2.") and only.suffix == ".jinja"


def test_another_text_is_compiled(tmp_path: Path) -> None:
    rendered(tmp_path)
    (tmp_path / "page.j2").write_text("{{ word }} two\n", encoding="utf-8")
    assert rendered(tmp_path) == ("a two", 1)
    assert rendered(tmp_path) == ("a two", 0)


def test_other_options_another_jinja_and_another_python_are_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rendered(tmp_path)
    assert rendered(tmp_path, "trim_blocks")[1] == 1
    with monkeypatch.context() as patched:
        patched.setattr("modelbuild.report.compiled._version", lambda: "another")
        assert rendered(tmp_path)[1] == 1
    with monkeypatch.context() as patched:
        patched.setattr(sys.implementation, "cache_tag", "another-1")
        assert rendered(tmp_path)[1] == 1
    assert rendered(tmp_path)[1] == 0


@pytest.mark.parametrize("damage", [b"", b"j2", b"no bytecode", None])
def test_damage_is_compiled_again(tmp_path: Path, damage: bytes | None) -> None:
    rendered(tmp_path)
    (only,) = kept(tmp_path)
    only.write_bytes(only.read_bytes()[:-20] if damage is None else damage)
    assert rendered(tmp_path) == ("a one", 1)
    assert rendered(tmp_path) == ("a one", 0)


def test_every_cut_of_it_is_noticed(tmp_path: Path) -> None:
    rendered(tmp_path)
    (only,) = kept(tmp_path)
    whole = only.read_bytes()
    for length in range(0, len(whole), 7):
        only.write_bytes(whole[:length])
        assert rendered(tmp_path) == ("a one", 1), length


def test_nothing_is_kept_where_python_keeps_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    assert rendered(tmp_path) == ("a one", 1)
    assert kept(tmp_path) == []


def test_a_place_that_cannot_be_written_costs_nothing_but_time(tmp_path: Path) -> None:
    (tmp_path / "__pycache__").write_text("a file", encoding="utf-8")
    assert rendered(tmp_path) == rendered(tmp_path) == ("a one", 1)


def test_it_lies_where_python_is_told_to_keep_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "pycache_prefix", str(tmp_path / "elsewhere"))
    assert rendered(tmp_path) == ("a one", 1)
    assert rendered(tmp_path) == ("a one", 0)
    assert not (tmp_path / "__pycache__").exists()
