"""Completion: the scripts in real shells, and the names that they ask for."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from modelbuild.cli import completing
from modelbuild.cli.main import VERBS
from tests.cli.conftest import Command
from tests.e2e.command import REPOSITORY

# bash as a terminal would ask it: the line up to the cursor, and the words as bash divides them.
BASH = """
source "$1"; COMP_LINE=$2; COMP_POINT=${#COMP_LINE}; COMP_WORDBREAKS=$' \\t\\n"\\'><=;|&(:@'
compopt() { :; }
_modelbuild; printf '%s\\n' "${COMPREPLY[@]}"
"""
ZSH = """
autoload() { :; }; compdef() { :; }; compset() { :; }
compadd() { shift; print -l -- ${(M)@:#${words[CURRENT]}*}; }; _files() { print -l -- FILES; }
source "$1"; words=(${(z)2}); [[ $2 == *' ' ]] && words+=(""); CURRENT=$#words; _modelbuild
"""
FISH = 'source "$argv[1]"; complete -C "$argv[2]" | string replace -r "\\t.*" ""; true'
RUN = {
    "bash": ["bash", "--noprofile", "--norc", "-c", BASH, "bash"],
    "zsh": ["zsh", "-f", "-c", ZSH, "zsh"],
    "fish": ["fish", "--no-config", "-c", FISH],
}


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The three scripts, and a `modelbuild` in `bin/` that is this one."""
    folder = tmp_path_factory.mktemp("scripts")
    for shell in completing.SHELLS:
        (folder / shell).write_text(completing.script(shell, VERBS), encoding="utf-8")
    (folder / "bin").mkdir()
    program = folder / "bin/modelbuild"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m modelbuild "$@"\n')
    program.chmod(0o755)
    return folder


def completed(shell: str, line: str, folder: Path, scripts: Path) -> list[str]:
    """What the shell offers for the last word of the line, without what bash holds to be typed already."""
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    path = f"{scripts / 'bin'}:{os.environ['PATH']}"
    environment = {"PATH": path, "HOME": str(scripts), "PYTHONPATH": str(REPOSITORY), "LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        [*RUN[shell], str(scripts / shell), line],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stderr == ""
    return sorted(filter(None, done.stdout.splitlines()))


SHELLS = pytest.mark.parametrize("shell", list(RUN))


@SHELLS
@pytest.mark.parametrize(
    ("line", "last", "offered"),
    [
        ("modelbuild bui", "", ["build"]),
        ("modelbuild build all-", "", ["all-mpk", "all-nef", "all-old"]),
        ("modelbuild build small@n", "small@", ["small@nef"]),
        ("modelbuild build -q all-n", "", ["all-nef"]),
        ("modelbuild build --until obs", "", ["observe"]),
        ("modelbuild build -j 2 --until obs", "", ["observe"]),
        ("modelbuild why small@nef:quan", "small@nef:", ["small@nef:quantize"]),
        ("modelbuild build --dry", "", ["--dry-run"]),
        ("modelbuild status --color al", "", ["always"]),
        ("modelbuild chips kl5", "", ["kl520", "kl530"]),
        ("modelbuild completion f", "", ["fish"]),
        ("modelbuild nef com", "", ["combine"]),
        ("modelbuild -C . build all-n", "", ["all-nef"]),
        ("modelbuild build nobody", "", []),
    ],
)
def test_words(shell: str, line: str, last: str, offered: list[str], small: Path, scripts: Path) -> None:
    typed = last if shell == "bash" else ""
    assert completed(shell, line, small, scripts) == [name.removeprefix(typed) for name in offered]


@SHELLS
def test_every_verb_is_offered(shell: str, small: Path, scripts: Path) -> None:
    assert set(VERBS) <= set(completed(shell, "modelbuild ", small, scripts))


@SHELLS
def test_a_broken_manifest_is_silence(shell: str, tmp_path: Path, scripts: Path) -> None:
    (tmp_path / "models.yaml").write_text("models: [")
    assert completed(shell, "modelbuild build fa", tmp_path, scripts) == []
    (tmp_path / "models.yaml").unlink()
    assert completed(shell, "modelbuild build fa", tmp_path, scripts) == []


def test_files_where_files_may_stand(small: Path, scripts: Path) -> None:
    assert completed("bash", "modelbuild inspect sma", small, scripts) == ["small.onnx"]
    assert completed("bash", "modelbuild run sma", small, scripts)[-1] == "small@old"
    assert completed("bash", "modelbuild nef combine sma", small, scripts) == ["small.onnx"]
    assert completed("bash", "modelbuild nef combine small.onnx -o sma", small, scripts) == ["small.onnx"]
    assert "data" in completed("bash", "modelbuild -C da", small, scripts)


def test_the_verb(small: Path, command: Command) -> None:
    said = command(small, "completion", "bash")
    assert said.code == 0 and "complete -F _modelbuild modelbuild" in said.out
    assert command(small, "completion", "zsh", "--json").json["script"].startswith("#compdef modelbuild")
    nothing = command(small, "completion")
    assert nothing.code == 2 and "bash, fish, zsh" in nothing.err
    assert command(small, "completion", "tcsh").code == 2


def test_every_option_of_every_verb_is_in_the_scripts() -> None:
    for verb in completing.verbs(VERBS):
        flags = " ".join(flag for option in verb.options for flag in option.flags)
        assert f"        {verb.name}) echo '{flags}' ;;" in completing.script("bash", VERBS)
        assert all(option.help for option in verb.options)


def test_names_are_found_without_anything_heavy(small: Path) -> None:
    program = (
        "import sys; from modelbuild.cli.main import main; main(sys.argv[1:]); print(sorted(sys.modules))"
    )
    words = ["completion", "--names", "selectors", "-C", str(small)]
    done = subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, text=True, check=True, timeout=60
    )
    names, loaded = done.stdout.splitlines()[:-1], done.stdout.splitlines()[-1]
    assert "small@nef" in names
    assert not [name for name in ("numpy", "onnx", "pydantic", "rich", "PIL") if f"'{name}'" in loaded]


def test_what_only_hooks_call_is_offered_to_nobody() -> None:
    kinds = {verb.name: verb.kind for verb in completing.verbs(VERBS)}
    assert kinds["hooks"] == "install uninstall status" and kinds["cache"] == "stats verify gc"
    assert set(kinds["completion"].split()) == set(completing.SHELLS)
