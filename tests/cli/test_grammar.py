"""What is said of wrong words on the command line: what, in which verb, and what would be right."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelbuild.cli.main import main
from modelbuild.toolchains.builtin import PIPELINE
from tests.cli.conftest import Command


@pytest.mark.parametrize(
    ("words", "what", "advice"),
    [
        (
            "evaluate m --set a=1",
            "modelbuild evaluate: there is no option `--set`",
            "write it in the manifest;",
        ),
        ("build --jbos 3", "modelbuild build: there is no option `--jbos`", "did you mean `--jobs`?"),
        ("build --json=3", "modelbuild build: --json takes no value: '3'", "see `modelbuild build --help`"),
        (
            "build -j x",
            "modelbuild build: -j/--jobs `x` is not a whole number",
            "see `modelbuild build --help`",
        ),
        ("evaluate f --clock x", "--clock takes a number of Hz, not `x`", "write --clock 700e6"),
        ("run", "modelbuild run: FILE|MODEL@TARGET is missing", "see `modelbuild run --help`"),
        ("convert", "modelbuild convert: FILE, -o/--output are missing", "see `modelbuild convert --help`"),
        ("run f --input", "modelbuild run: --input needs a value", "see `modelbuild run --help`"),
        ("chips a b", "modelbuild chips: `b` is one too many", "see `modelbuild chips --help`"),
        (
            "run f --level flaot",
            "modelbuild run: --level `flaot` is not known",
            "did you mean `float`? it is one of float, fixed, hardware",
        ),
        ("check --format xml", "--format `xml` is not known", "it is one of text, json, github, sarif"),
        ("convert f -o g --tail all", "--tail `all` is not known", "it takes auto alone"),
        ("hooks foo", "modelbuild hooks: `foo` is not known", "it is one of install, uninstall, status"),
    ],
)
def test_wrong_words(tmp_path: Path, command: Command, words: str, what: str, advice: str) -> None:
    said = command(tmp_path, *words.split())
    assert said.code == 2 and said.out == ""
    first, *rest = said.err.splitlines()
    assert first.startswith("error: ") and first.endswith(what)
    assert rest[-1].startswith(f"  do:  {advice}")


def test_the_help_of_until_has_the_stages_as_they_run(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["build", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert f"stop after this stage: {', '.join(PIPELINE)}" in text


def test_a_file_whose_name_looks_like_an_option(
    tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "-dash.nef").write_bytes(b"x")
    monkeypatch.chdir(tmp_path)
    said = command(tmp_path, "inspect", "-dash.nef")
    assert said.code == 2 and "FILE is missing" in said.err
    assert "the file -dash.nef is named ./-dash.nef" in said.err
    assert "-dash.nef" in command(tmp_path, "inspect", "./-dash.nef").err
