"""`hooks` on the command line, and the hooks for users of pre-commit."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
import yaml

from modelbuild.cli.main import main
from modelbuild.project.hook_script import HOOKS
from tests.cli.conftest import Command
from tests.project.git_harness import Git, repository

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def git(tmp_path: Path) -> Git:
    return repository(
        tmp_path / "r", {"models.yaml": "modelbuild: 1\n", "sub/models.yaml": "modelbuild: 1\n"}
    )


def test_install_status_uninstall(git: Git, command: Command) -> None:
    (git.folder / ".git/hooks/pre-push").write_text("mine\n")
    assert command(git.folder, "hooks", "status").lines[0] == "pre-commit: not installed"
    said = command(git.folder, "hooks", "install")
    assert said.lines == [
        "pre-commit: installed",
        "post-merge: installed",
        "post-checkout: installed",
        "post-rewrite: installed",
        "pre-push: installed (pre-push.before-modelbuild runs first)",
    ]
    assert command(git.folder, "hooks", "install").lines[0] == "pre-commit: was there"
    assert command(git.folder / "sub", "hooks", "status").lines[0] == (
        "pre-commit: not installed; another hook is there"
    )
    said = command(git.folder, "hooks", "uninstall")
    assert said.lines[-1] == "pre-push: uninstalled; the earlier hook is back"


def test_json(git: Git, command: Command) -> None:
    (entry,) = command(git.folder, "hooks", "install", "--only", "pre-commit", "--json").json["hooks"]
    assert entry == {
        "hook": "pre-commit",
        "path": str(git.folder / ".git/hooks/pre-commit"),
        "state": "installed",
        "earlier": None,
        "did": "installed",
    }
    data = command(git.folder, "hooks", "status", "--json").json
    assert data["ok"] and [one["hook"] for one in data["hooks"]] == list(HOOKS)


def test_only(git: Git, command: Command) -> None:
    said = command(git.folder, "hooks", "install", "--only", "pre-push, pre-commit")
    assert [line.split(":")[0] for line in said.lines] == ["pre-commit", "pre-push"]
    said = command(git.folder, "hooks", "install", "--only", "pre-comit")
    assert said.code == 2 and "did you mean `pre-commit`?" in said.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["hooks", "install", "pre-commit"], "takes no further words"),
        (["hooks", "run", "pre-commit"], "is what the hooks call"),
        (["hooks", "frobnicate"], "do:  it is one of install, uninstall, status\n"),
        (["hooks"], "install|uninstall|status is missing"),
    ],
)
def test_wrong_words(git: Git, command: Command, words: list[str], message: str) -> None:
    said = command(git.folder, *words)
    assert said.code == 2 and message in said.err


def test_outside_of_a_repository(tmp_path: Path, command: Command) -> None:
    (tmp_path / "models.yaml").write_text("modelbuild: 1\n")
    said = command(tmp_path, "hooks", "install")
    assert said.code == 2 and "this folder is in no git repository" in said.err


def test_check_staged_is_an_option(copied: Path, command: Command) -> None:
    git = Git(copied, copied.parent)
    git("init", "-q")
    (copied / ".gitignore").write_text(".modelbuild/\ndist/\nreports/\n")
    said = command(copied, "check", "--staged")
    assert said.code == 2 and "models.yaml is not staged" in said.err and "`git add models.yaml`" in said.err
    git("add", "--all")
    assert command(copied, "check", "--staged").lines[-1] == "no errors"
    (copied / "models.yaml").write_text("nonsense")
    assert command(copied, "check", "--staged", "--json").json["ok"] is True
    assert command(copied, "check").code == 2


def test_the_hooks_for_pre_commit() -> None:
    """The keys that pre-commit knows, and entries that our own grammar takes."""
    listed = yaml.safe_load((REPOSITORY / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
    assert [hook["id"] for hook in listed] == [
        "modelbuild-check",
        "modelbuild-build",
        "modelbuild-build-locked",
    ]
    for hook in listed:
        assert hook.keys() <= {
            *("id", "name", "description", "entry", "language", "pass_filenames", "require_serial"),
            *("always_run", "stages"),
        }
        assert hook["language"] == "python" and hook["pass_filenames"] is False
        assert re.fullmatch("[a-z-]+", hook["id"])


def test_the_check_for_pre_commit_judges_what_is_staged(
    copied: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = yaml.safe_load((REPOSITORY / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
    entries = {hook["id"]: shlex.split(hook["entry"]) for hook in listed}
    git = Git(copied, copied.parent)
    git("init", "-q")
    git("add", "models.yaml", "small.onnx", "data")
    monkeypatch.chdir(copied)
    assert main(entries["modelbuild-check"][1:]) == 0
    assert capsys.readouterr() == ("", "")
    manifest = (copied / "models.yaml").read_text()
    (copied / "models.yaml").write_text(manifest.replace("kl720", "kl99"))
    git("add", "models.yaml")
    (copied / "models.yaml").write_text(manifest)
    assert main(entries["modelbuild-check"][1:]) == 2
    assert "unknown chip `kl99`" in capsys.readouterr().err
    assert main([*entries["modelbuild-build"][1:], "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["ok"] is True
