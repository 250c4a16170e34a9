"""The git repository around a folder, asked through the `git` command."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from modelbuild.errors import EXIT_FAILED, ModelbuildError

# What git sets for its hooks and means one repository (`git rev-parse --local-env-vars`).
LOCAL_VARIABLES = frozenset(
    {
        "GIT_ALTERNATE_OBJECT_DIRECTORIES",
        "GIT_CONFIG",
        "GIT_CONFIG_PARAMETERS",
        "GIT_CONFIG_COUNT",
        "GIT_OBJECT_DIRECTORY",
        "GIT_DIR",
        "GIT_WORK_TREE",
        "GIT_IMPLICIT_WORK_TREE",
        "GIT_GRAFT_FILE",
        "GIT_INDEX_FILE",
        "GIT_NO_REPLACE_OBJECTS",
        "GIT_REPLACE_REF_BASE",
        "GIT_PREFIX",
        "GIT_SHALLOW_FILE",
        "GIT_COMMON_DIR",
        "GIT_QUARANTINE_PATH",
    }
)


class Repository(NamedTuple):
    """`top` is the work tree's folder, `own` its git folder, `common` the one that all work trees share."""

    top: Path
    own: Path
    common: Path
    environment: Mapping[str, str]

    def git(self, *arguments: str, stdin: bytes = b"", index: Path | None = None) -> bytes:
        """What `git ARGUMENTS` prints, run at `top`; `index` stands in for the repository's own.

        Raises ModelbuildError (exit 1) with git's own words where it fails.
        """
        environment = {**self.environment, **({"GIT_INDEX_FILE": str(index)} if index else {})}
        done = _run(arguments, self.top, environment, stdin)
        if done.returncode:
            lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
            raise ModelbuildError(
                f"`git {arguments[0]}` failed", why="; ".join(lines[:4]), exit_code=EXIT_FAILED
            )
        return done.stdout

    def succeeds(self, *arguments: str) -> bool:
        """Whether `git ARGUMENTS` ends with 0."""
        return _run(arguments, self.top, self.environment).returncode == 0

    def names(self, *arguments: str, index: Path | None = None) -> list[str]:
        """The NUL-separated words that git prints."""
        return [os.fsdecode(word) for word in self.git(*arguments, index=index).split(b"\0") if word]

    def unwatched(self, index: Path | None = None) -> list[str]:
        """The files of the index of which git does not look at the work tree's: those marked assume-unchanged
        or skip-worktree, as all that a sparse checkout leaves out."""
        entries = self.names("ls-files", "-v", "-z", index=index)
        return [entry[2:] for entry in entries if entry[0] == "S" or entry[0].islower()]

    def has(self, name: str) -> bool:
        """Whether something of that name is in the work tree's own git folder, such as `rebase-merge`."""
        return (self.own / name).exists()

    def prefix(self, folder: Path) -> str:
        """The folder as git names it, relative to `top`; empty for `top` itself."""
        relative = os.path.relpath(os.path.realpath(folder), self.top).replace(os.sep, "/")
        return "" if relative == "." else relative


def clean_environment() -> dict[str, str]:
    """The environment without what git sets for its hooks: for programs that may look at any repository."""
    return {name: value for name, value in os.environ.items() if name not in LOCAL_VARIABLES}


def find(folder: Path) -> Repository | None:
    """The repository whose work tree holds `folder`, or None.

    In a hook of that repository, its index is the one that git names to the hook: that of the commit to be.
    Raises ModelbuildError (exit 2) if there is no git, or only a bare repository.
    """
    clean = clean_environment()
    if not {"GIT_DIR", "GIT_INDEX_FILE"} & os.environ.keys():
        return _ask(folder, clean)
    hooked = _ask(Path.cwd(), os.environ)
    real = Path(os.path.realpath(folder))
    if hooked is not None and real == hooked.top:
        return _pinned(hooked)
    found = _ask(folder, clean)
    if hooked is None or not real.is_relative_to(hooked.top):
        return found
    if found is not None and found.own != hooked.own:
        return found
    return _pinned(hooked)


def open_repository(folder: Path) -> Repository:
    """As `find`; that there is none is an error (exit 2)."""
    found = find(folder)
    if found is None:
        raise ModelbuildError(
            "this folder is in no git repository",
            where=str(folder),
            advice="`git init`, or name another with -C",
        )
    return found


def _pinned(hooked: Repository) -> Repository:
    """The same with every place absolute: git's variables are relative to where it is started."""
    environment = {**hooked.environment, "GIT_DIR": str(hooked.own), "GIT_WORK_TREE": str(hooked.top)}
    index = environment.get("GIT_INDEX_FILE")
    if index:
        environment["GIT_INDEX_FILE"] = str(hooked.top / index)
    return Repository(hooked.top, hooked.own, hooked.common, environment)


def _ask(folder: Path, environment: Mapping[str, str]) -> Repository | None:
    words = ("rev-parse", "--is-bare-repository", "--git-common-dir", "--absolute-git-dir", "--show-toplevel")
    done = _run(words, folder, {**environment, "LC_ALL": "C"})
    lines = os.fsdecode(done.stdout).splitlines()
    if done.returncode == 0 and len(lines) == 4:
        own = Path(lines[2])
        return Repository(
            top=Path(os.path.realpath(lines[3])),
            own=own,
            common=Path(os.path.realpath(folder / lines[1])),
            environment={**environment, "GIT_OPTIONAL_LOCKS": "0"},
        )
    if lines[:1] == ["true"]:
        raise ModelbuildError(
            "this is a bare repository: it has no work tree to check or build",
            where=str(folder),
            advice="run this in a clone of it, or in a work tree (`git worktree add`)",
        )
    said = done.stderr.decode("utf-8", "replace").strip()
    if "not a git repository" in said or "must be run in a work tree" in said:
        return None
    raise ModelbuildError("git cannot tell the repository of this folder", where=str(folder), why=said)


def _run(
    arguments: Sequence[str], folder: Path, environment: Mapping[str, str], stdin: bytes = b""
) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            ["git", *arguments], cwd=folder, env=environment, input=stdin, capture_output=True, check=False
        )
    except FileNotFoundError as error:
        raise ModelbuildError(
            "there is no `git` command", why="it is not on the PATH", advice="install git"
        ) from error
