"""Hooks that have nothing to do: they find out at once."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from modelbuild.project import hooks
from tests.project.git_harness import TEXT, Git
from tests.project.hook_calls import LONG, judged, write
from tests.project.small_project import write_model


class TestNothingToCheck:
    """The mirror is not made where the commit concerns no model: a mark in it would be gone."""

    def passes_at_once(self, git: Git, project: Path, *arguments: str) -> bool:
        mark = project / ".modelbuild/recorded/tree/mark"
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.touch()
        assert judged(git, *arguments)[0]
        return mark.exists()

    def test_after_a_check_that_passed(self, git: Git, project: Path) -> None:
        write(git.folder / "README", "1")
        git("add", "--all")
        assert not self.passes_at_once(git, project)  # nothing is known yet
        write(project / "models.yaml", "modelbuild: 1\n# changed\n" + TEXT)
        git("add", "--all")
        assert not self.passes_at_once(git, project)
        for name in ("README", "sub dir/README", "sub dir/src/main.c", "other/models.yaml", "dependabot.yml"):
            write(git.folder / name, "2")
            git("add", "--all")
            assert self.passes_at_once(git, project), name
        assert self.passes_at_once(git, project, "--allow-empty")

    @pytest.mark.parametrize(
        "name",
        [
            "sub dir/data/2.npy",
            *map(LONG, ("sub dir/models.yaml", "sub dir/models/small.onnx", "sub dir/more.yaml")),
        ],
    )
    def test_what_the_project_reads_is_looked_at(self, git: Git, project: Path, name: str) -> None:
        write(project / "models.yaml", "modelbuild: 1\n# changed\n" + TEXT)
        git("add", "--all")
        assert not self.passes_at_once(git, project)
        if name.endswith(".yaml"):
            write(git.folder / name, "modelbuild: 1\n# once more\n" + TEXT)
        elif name.endswith(".onnx"):
            write_model(git.folder / name, seed=5)
        else:
            shutil.copy(project / "data/0.npy", git.folder / name)
        git("add", "--all")
        assert not self.passes_at_once(git, project)

    @pytest.mark.long
    def test_found_weights_are_looked_at(self, git: Git, project: Path) -> None:
        write_model(project / "models/small.onnx", seed=2, external=True)
        git("add", "--all")
        assert judged(git)[0]
        write(project / "models/notes.txt", "x")
        git("add", "--all")
        assert self.passes_at_once(git, project)
        (project / "models/weights.bin").write_bytes(b"short")
        git("add", "--all")
        made, said = judged(git)
        assert not made and "weights" in said


@pytest.fixture
def shared(git: Git, project: Path) -> Git:
    """The project has a recipe that extends another, and includes, all beside it; it has passed a check."""
    write(git.folder / "rec/cam.yaml", "chip: cam\nextends: ../base/b.yaml\n")
    write(git.folder / "base/b.yaml", "chip: base\nextends: kl720\n")
    write(git.folder / "common/one.yaml", "samples: {more: {files: data/*.npy}}\n")
    text = TEXT.replace("chip: kl720", "chip: ../rec/cam.yaml")
    write(project / "models.yaml", "modelbuild: 1\ninclude: [../common/*.yaml]\n" + text)
    git("add", "--all")
    assert judged(git) == (True, "")
    return git


@pytest.mark.parametrize(
    ("name", "text", "error"),
    [
        ("base/b.yaml", "chip: base\nextends: kl99\n", "unknown chip `kl99`"),
        ("common/two.yaml", "samples: {more: {files: x}}\n", "common/two.yaml"),
    ],
)
def test_what_lies_beside_the_project_is_looked_at(shared: Git, name: str, text: str, error: str) -> None:
    write(shared.folder / name, text)
    shared("add", "--all")
    made, said = judged(shared)
    assert not made and error in said


@pytest.mark.long
def test_a_sample_behind_a_link_is_looked_at(shared: Git, project: Path) -> None:
    (project / "data").rename(shared.folder / "images")
    (project / "data").symlink_to("../images")
    shared("add", "--all")
    assert judged(shared) == (True, "")
    write(shared.folder / "images/0.npy", "broken")
    shared("add", "--all")
    assert not judged(shared)[0]


HEAVY = {"numpy", "onnx", "onnxruntime", "pydantic", "yaml", "rich", "jinja2", "dataclasses", "asyncio"}


@pytest.mark.parametrize(
    "words",
    [
        ["pre-commit"],
        ["post-checkout", "1", "2", "1"],
        *map(LONG, (["post-merge", "0"], ["pre-push", "origin", "url"])),
    ],
)
def test_a_hook_without_work_imports_nothing_heavy(branches: Git, project: Path, words: list[str]) -> None:
    write(project / "models.yaml", "modelbuild: 1\n# for the check to pass\n" + TEXT)
    assert judged(branches, "--all")[0]
    subprocess.run([*hooks.own_command(), "-q", "-C", str(project), "build"], check=True)
    write(branches.folder / "README", "x")
    branches("add", "README")
    hook, *arguments = words
    script = str(branches.folder / ".git/hooks" / hook)
    (command,) = hooks.own_command()
    done = subprocess.run(
        [sys.executable, "-X", "importtime", command, "hooks", "run", hook, script, "--", *arguments],
        cwd=branches.folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "modelbuild.project.hook_runs" in imported
    assert not HEAVY & imported
