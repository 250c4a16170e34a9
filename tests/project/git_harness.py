"""Real git repositories for tests: of nobody's configuration but their own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.project.small_project import write_manifest, write_model, write_samples

TEXT = """\
samples: {some: {files: "data/*.npy"}}
models: {small: {source: models/small.onnx, calibration: some, accept: {snr_db: 5}}}
targets: {cam: {chip: kl720}}
packages: {one: {target: cam, models: {small: {id: 32768}}}}
"""
IGNORED = ".modelbuild/\ndist/\nreports/\n"


def environment(home: Path) -> dict[str, str]:
    """The environment of a user who has configured nothing."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    who = {f"GIT_{role}_{what}": "x@y" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    return {**kept, **who, "HOME": str(home), "GIT_CONFIG_NOSYSTEM": "1", "XDG_CONFIG_HOME": str(home)}


@dataclass
class Git:
    """A work tree; `git("commit", …)` runs there."""

    folder: Path
    home: Path
    extra: dict[str, str] = field(default_factory=dict)

    def run(self, *arguments: str, stdin: str = "", **more: str) -> subprocess.CompletedProcess[str]:
        """What git did, whatever its exit code."""
        return subprocess.run(
            ["git", *arguments],
            cwd=self.folder,
            env={**environment(self.home), **self.extra, **more},
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    def __call__(self, *arguments: str, **more: str) -> str:
        """What git printed on standard output; it must end with 0."""
        done = self.run(*arguments, **more)
        assert done.returncode == 0, (arguments, done.stdout, done.stderr)
        return done.stdout

    def commit(self, message: str = "change") -> None:
        """Stages all, and commits past every hook."""
        self("add", "--all")
        self("commit", "-q", "--no-verify", "--allow-empty", "-m", message)


def repository(folder: Path, files: Mapping[str, str] | None = None) -> Git:
    """A new repository with one commit of `files` and a .gitignore."""
    folder.mkdir(parents=True, exist_ok=True)
    home = folder.parent / "home"
    home.mkdir(exist_ok=True)
    git = Git(folder, home)
    git("init", "-q", "-b", "main")
    for name, text in {".gitignore": IGNORED, **(files or {})}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    git.commit("first")
    return git


def project_repository(folder: Path, inside: str = ".") -> Git:
    """A repository with a small project in its folder `inside`, committed."""
    place = folder / inside
    write_model(place / "models/small.onnx")
    write_samples(place / "data")
    write_manifest(place, TEXT)
    return repository(folder)
