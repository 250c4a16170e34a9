"""Hooks put beside those that are there, in real repositories, and taken away without a trace."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelbuild.errors import ModelbuildError
from modelbuild.project import hooks
from modelbuild.project.hook_script import HOOKS, KEPT
from tests.project.git_harness import Git, environment, repository

FILES = {"models.yaml": "modelbuild: 1\n", "a b/models.yaml": "modelbuild: 1\n"}


@pytest.fixture
def git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Git]:
    """A repository with two projects, whose git reads nobody's configuration."""
    home = tmp_path / "home"
    home.mkdir()
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    for name, value in environment(home).items():
        monkeypatch.setenv(name, value)
    yield repository(tmp_path / "my repository", FILES)


def states(folder: Path) -> dict[str, str]:
    return {one.hook: one.state for one in hooks.status(folder, "models.yaml")}


def listing(folder: Path) -> dict[str, tuple[int, bytes | str]]:
    """Name -> mode and bytes, or the target of a link, of all in a folder."""
    return {
        path.name: (path.lstat().st_mode, str(path.readlink()) if path.is_symlink() else path.read_bytes())
        for path in folder.iterdir()
    }


def test_a_fresh_repository(git: Git) -> None:
    before = listing(git.folder / ".git/hooks")
    assert set(states(git.folder).values()) == {"none"}
    installed = hooks.install(git.folder, "models.yaml")
    assert [one.hook for one in installed] == list(HOOKS)
    assert set(states(git.folder).values()) == {"installed"}
    assert all(os.access(one.path, os.X_OK) for one in installed)
    hooks.uninstall(git.folder, "models.yaml")
    assert listing(git.folder / ".git/hooks") == before


def test_a_repetition_changes_nothing(git: Git) -> None:
    hooks.install(git.folder, "models.yaml")
    folder = git.folder / ".git/hooks"
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert {one.did for one in hooks.install(git.folder, "models.yaml")} == {"was there"}
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_a_hook_that_was_put_over_ours_is_left_and_the_earlier_one_named(git: Git) -> None:
    folder = git.folder / ".git/hooks"
    (folder / "pre-commit").write_text("#!/bin/sh\n# mine\n")
    hooks.install(git.folder, "models.yaml", ["pre-commit"])
    (folder / "pre-commit").write_text("#!/bin/sh\n# another's\n")
    (one,) = hooks.uninstall(git.folder, "models.yaml", ["pre-commit"])
    assert str(one) == (
        "pre-commit: left: it is not modelbuild's; "
        "pre-commit.before-modelbuild is the hook that was here before modelbuild's"
    )
    assert (folder / "pre-commit").read_text().endswith("another's\n")


def test_earlier_hooks_come_back_to_the_byte_and_the_mode(git: Git) -> None:
    folder = git.folder / ".git/hooks"
    (folder / "pre-commit").write_bytes(b"#!/bin/sh\r\n\xff\x00no end of line")
    (folder / "pre-commit").chmod(0o710)
    (folder / "post-merge").write_text("not executable")
    (folder / "pre-push").symlink_to("../../gone.sh")  # a link that leads nowhere yet
    (git.folder / "shared.sh").write_text("#!/bin/sh\n")
    (folder / "post-checkout").symlink_to("../../shared.sh")
    before = listing(folder)
    for _ in range(2):
        hooks.install(git.folder, "models.yaml")
    assert listing(folder)["pre-commit" + KEPT] == before["pre-commit"]
    assert (folder / ("post-checkout" + KEPT)).resolve() == git.folder / "shared.sh"
    hooks.uninstall(git.folder, "models.yaml")
    assert listing(folder) == before


def test_only_some(git: Git) -> None:
    hooks.install(git.folder, "models.yaml", ["pre-push"])
    assert {hook for hook, state in states(git.folder).items() if state == "installed"} == {"pre-push"}
    hooks.install(git.folder, "models.yaml")
    hooks.uninstall(git.folder, "models.yaml", ["pre-commit"])
    assert {hook for hook, state in states(git.folder).items() if state == "none"} == {"pre-commit"}


def test_several_projects_share_the_hooks(git: Git) -> None:
    other = git.folder / "a b"
    hooks.install(git.folder, "models.yaml")
    assert set(states(other).values()) == {"other"}
    hooks.install(other, "models.yaml")
    assert set(states(other).values()) == set(states(git.folder).values()) == {"installed"}
    hooks.uninstall(git.folder, "models.yaml")
    assert set(states(other).values()) == {"installed"}
    hooks.uninstall(other, "models.yaml")
    assert not [path for path in (git.folder / ".git/hooks").iterdir() if path.suffix != ".sample"]


def test_what_a_user_wrote_into_a_hook_is_not_lost(git: Git) -> None:
    hooks.install(git.folder, "models.yaml")
    path = git.folder / ".git/hooks/pre-commit"
    path.write_text(path.read_text() + "echo mine\n")
    assert states(git.folder)["pre-commit"] == "edited"
    hooks.install(git.folder, "models.yaml")
    hooks.install(git.folder / "a b", "models.yaml")
    assert path.read_text().endswith("echo mine\n")
    hooks.uninstall(git.folder, "models.yaml")
    assert path.read_text().endswith("echo mine\n")
    (told, *_) = hooks.uninstall(git.folder / "a b", "models.yaml")
    assert not path.exists() and told.did == "uninstalled; yours is kept as pre-commit.edited"
    assert path.with_name("pre-commit.edited").read_text().endswith("echo mine\n")


def test_a_hook_put_in_the_place_of_ours_is_left(git: Git) -> None:
    folder = git.folder / ".git/hooks"
    (folder / "pre-commit").write_text("first\n")
    hooks.install(git.folder, "models.yaml")
    (folder / "pre-commit").write_text("second\n")
    assert states(git.folder)["pre-commit"] == "other"
    with pytest.raises(ModelbuildError, match="two earlier hooks") as caught:
        hooks.install(git.folder, "models.yaml")
    assert caught.value.exit_code == 2
    (told, *_) = hooks.uninstall(git.folder, "models.yaml")
    assert told.did == "left: it is not modelbuild's"
    assert (folder / "pre-commit").read_text() == "second\n"
    assert (folder / f"pre-commit{KEPT}").read_text() == "first\n"


def test_an_installation_that_was_cut_off_is_made_good(git: Git) -> None:
    folder = git.folder / ".git/hooks"
    (folder / f"pre-commit{KEPT}").write_text("first\n")  # renamed, and then the power went
    hooks.install(git.folder, "models.yaml")
    hooks.uninstall(git.folder, "models.yaml")
    assert (folder / "pre-commit").read_text() == "first\n"


@pytest.mark.parametrize("told", ["tools/my hooks", "{home}/hooks", "~/hooks"])
@pytest.mark.parametrize("scope", ["--local", "--global"])
def test_core_hooks_path(git: Git, told: str, scope: str) -> None:
    git("config", scope, "core.hooksPath", told.format(home=git.home))
    folder = git.home / "hooks" if "tools" not in told else git.folder / "tools/my hooks"
    folder.mkdir(parents=True)
    (folder / "pre-commit").write_text("mine\n")
    before = listing(folder)
    hooks.install(git.folder / "a b", "models.yaml")
    assert {*HOOKS, f"pre-commit{KEPT}"} == {path.name for path in folder.iterdir()}
    assert not [path for path in (git.folder / ".git/hooks").iterdir() if path.suffix != ".sample"]
    hooks.uninstall(git.folder / "a b", "models.yaml")
    assert listing(folder) == before


def test_a_folder_for_all_repositories_serves_each_by_itself(git: Git, tmp_path: Path) -> None:
    git("config", "--global", "core.hooksPath", "~/hooks")
    other = repository(tmp_path / "other", FILES)
    hooks.install(git.folder, "models.yaml")
    assert set(states(other.folder).values()) == {"other"}
    hooks.install(other.folder, "models.yaml")
    hooks.uninstall(git.folder, "models.yaml")
    assert set(states(other.folder).values()) == {"installed"}
    assert set(states(git.folder).values()) == {"other"}
    hooks.uninstall(other.folder, "models.yaml")
    assert not list((git.home / "hooks").iterdir())


def test_hooks_in_the_work_tree_name_no_place_of_this_machine(git: Git) -> None:
    git("config", "core.hooksPath", "tools")
    hooks.install(git.folder, "models.yaml")
    text = (git.folder / "tools/pre-commit").read_text()
    assert str(git.folder.parent) not in text and "/bin/modelbuild" not in text


def test_hooks_that_are_turned_off(git: Git) -> None:
    git("config", "core.hooksPath", "/dev/null")
    with pytest.raises(ModelbuildError, match="which is no folder") as caught:
        hooks.install(git.folder, "models.yaml")
    assert caught.value.exit_code == 2


def test_work_trees_share_hooks_and_submodules_have_their_own(git: Git, tmp_path: Path) -> None:
    git("worktree", "add", "-q", str(tmp_path / "second"))
    hooks.install(tmp_path / "second", "models.yaml")
    assert set(states(git.folder).values()) == {"installed"}
    inner = repository(tmp_path / "inner", FILES)
    git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(inner.folder), "sub")
    assert set(states(git.folder / "sub").values()) == {"none"}
    (found, *_) = hooks.install(git.folder / "sub", "models.yaml")
    assert found.path.is_relative_to(git.folder / ".git/modules/sub/hooks")


@pytest.mark.parametrize(
    ("arguments", "message"), [(["init", "-q", "--bare"], "bare repository"), (None, "in no git repository")]
)
def test_where_there_is_no_work_tree(
    git: Git, tmp_path: Path, arguments: list[str] | None, message: str
) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "models.yaml").write_text("modelbuild: 1\n")
    if arguments:
        Git(folder, git.home)(*arguments)
    with pytest.raises(ModelbuildError, match=message) as caught:
        hooks.install(folder, "models.yaml")
    assert caught.value.exit_code == 2


def test_only_beside_a_manifest(git: Git) -> None:
    with pytest.raises(ModelbuildError, match="there is no other"):
        hooks.install(git.folder, "other.yaml")


def test_a_folder_that_may_not_be_written(git: Git, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, mode: int) -> None:
        raise PermissionError(13, "Permission denied")

    (git.folder / ".git/hooks/pre-commit").write_text("mine\n")
    before = listing(git.folder / ".git/hooks")
    monkeypatch.setattr(Path, "chmod", refuse)
    with pytest.raises(ModelbuildError, match="cannot install the hook") as caught:
        hooks.install(git.folder, "models.yaml")
    assert caught.value.exit_code == 1
    assert listing(git.folder / ".git/hooks") == before


def test_without_git(git: Git, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(git.home))
    with pytest.raises(ModelbuildError, match="there is no `git` command"):
        hooks.status(git.folder, "models.yaml")
