"""Git hooks: put beside those that are there, looked at, and taken away without a trace."""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from modelbuild import whole_file
from modelbuild.errors import EXIT_FAILED, ModelbuildError
from modelbuild.project.hook_script import HOOKS, KEPT, ProjectLine, Script, merged, parse, with_projects
from modelbuild.project.repository import Repository, open_repository

EDITED = ".edited"  # the suffix of a hook of ours that a user changed, once it is uninstalled


_STATES = {
    "installed": "installed",
    "edited": "installed, and edited since",
    "other": "not installed; another hook is there",
    "none": "not installed",
}


@dataclass(frozen=True)
class HookState:
    """`state` is installed, edited (by the user, and installed), other (not ours) or none; `earlier` is the
    file of the hook that runs first; `did` says what was done just now."""

    hook: str
    path: Path
    state: str
    earlier: Path | None
    did: str = ""

    def __str__(self) -> str:
        told = self.did or _STATES[self.state]
        if self.earlier is None:
            return f"{self.hook}: {told}"
        if self.state in ("installed", "edited"):
            return f"{self.hook}: {told} ({self.earlier.name} runs first)"
        return f"{self.hook}: {told}; {self.earlier.name} is the hook that was here before modelbuild's"

    def to_json(self) -> dict[str, str | None]:
        """The object in `hooks` of `hooks --json`."""
        return {
            "hook": self.hook,
            "path": str(self.path),
            "state": self.state,
            "earlier": str(self.earlier) if self.earlier else None,
            "did": self.did,
        }


@dataclass(frozen=True)
class Place:
    """Where git looks for hooks, and the project that they are for."""

    repository: Repository
    folder: Path
    project: ProjectLine
    command: tuple[str, ...]


def place(directory: Path | str, file: str) -> Place:
    """Where the hooks of a project belong: `core.hooksPath`, or the git folder of all work trees.

    Raises ModelbuildError (exit 2) without a repository, or where hooks are turned off.
    """
    directory = Path(directory).absolute()
    repository = open_repository(directory)
    told = os.fsdecode(repository.git("rev-parse", "--git-path", "hooks")).rstrip("\n")
    folder = Path(os.path.normpath(repository.top / told))
    if folder.exists() and not folder.is_dir():
        raise ModelbuildError(
            f"git is told to look for hooks in {folder}, which is no folder",
            why="so hooks are turned off here, by `core.hooksPath`",
            advice="`git config --show-origin core.hooksPath` says where; unset it, or name a folder",
        )
    in_git = folder.is_relative_to(repository.common)
    in_tree = folder.is_relative_to(repository.top) and not in_git
    shared = not in_git and not in_tree
    relative = repository.prefix(directory) or "."
    project = ProjectLine(relative, file, str(repository.common) if shared else "")
    # Hooks in the work tree travel with it to other machines, where this one's path means nothing.
    return Place(repository, folder, project, () if in_tree else own_command())


def install(directory: Path | str, file: str, only: Sequence[str] = HOOKS) -> list[HookState]:
    """Puts the hooks there, before which those that are there run. A repetition changes nothing.

    Raises ModelbuildError: exit 2 where an earlier hook would be lost, exit 1 where the disk refuses.
    """
    if not (Path(directory) / file).is_file():
        raise ModelbuildError(
            f"there is no {file} here",
            where=str(Path(directory) / file),
            advice="name the project's folder with -C, or write a manifest with `modelbuild init`",
        )
    where = place(directory, file)
    for hook in only:
        _refuse_loss(where.folder / hook)
    return [_install(where, hook) for hook in only]


def uninstall(directory: Path | str, file: str, only: Sequence[str] = HOOKS) -> list[HookState]:
    """Takes the project off the hooks; those that serve no other are replaced by what was there before."""
    where = place(directory, file)
    return [_uninstall(where, hook) for hook in only]


def status(directory: Path | str, file: str) -> list[HookState]:
    """Each hook as it is."""
    where = place(directory, file)
    return [_state(where, hook) for hook in HOOKS]


def own_command() -> tuple[str, ...]:
    """How this modelbuild is started, whatever the PATH of who runs git: a GUI often has a short one."""
    script = Path(sysconfig.get_path("scripts")) / "modelbuild"
    if os.access(script, os.X_OK):
        return (str(script),)
    return (sys.executable, "-P", "-m", "modelbuild")


def _read(path: Path) -> str | None:
    try:
        return path.read_bytes().decode("utf-8", "surrogateescape")
    except (FileNotFoundError, IsADirectoryError):
        return None
    except OSError as error:
        raise _failure("read", path, error) from error


def _state(where: Place, hook: str, did: str = "") -> HookState:
    path = where.folder / hook
    earlier = path.with_name(hook + KEPT)
    text = _read(path)
    script = parse(hook, text) if text is not None else None
    if text is None:
        state = "none"
    elif script is None or where.project not in script.projects:
        state = "other"
    else:
        state = "installed" if script.text == text else "edited"
    return HookState(hook, path, state, earlier if os.path.lexists(earlier) else None, did)


def _refuse_loss(path: Path) -> None:
    """Two hooks cannot be kept under one name."""
    text = _read(path)
    earlier = path.with_name(path.name + KEPT)
    if text is not None and parse(path.name, text) is None and os.path.lexists(earlier):
        raise ModelbuildError(
            f"there are two earlier hooks: {path.name} and {earlier.name}",
            where=str(path),
            why="something put a hook in the place of modelbuild's, which had kept the other",
            advice=f"look at both in {path.parent}; remove one, or merge them into {path.name}",
        )


def _install(where: Place, hook: str) -> HookState:
    path = where.folder / hook
    text = _read(path)
    script = parse(hook, text) if text is not None else None
    if text is None or script is None:
        wanted, did = Script(hook, (where.project,), where.command).text, "installed"
    else:
        projects = merged(script.projects, where.project)
        edited = script.text != text
        wanted = with_projects(text, projects) if edited else Script(hook, projects, where.command).text
        did = "was there" if wanted == text else "brought up to date"
    try:
        where.folder.mkdir(parents=True, exist_ok=True)
        if wanted != text:
            _write(path, wanted, keep=script is None and os.path.lexists(path))
    except OSError as error:
        raise _failure("install", path, error) from error
    return _state(where, hook, did)


def _uninstall(where: Place, hook: str) -> HookState:
    path = where.folder / hook
    text = _read(path)
    script = parse(hook, text) if text is not None else None
    if text is None or script is None or where.project not in script.projects:
        return _state(where, hook, "was not there" if text is None else "left: it is not modelbuild's")
    rest = tuple(project for project in script.projects if project != where.project)
    edited = script.text != text
    try:
        if rest:
            _write(path, with_projects(text, rest) if edited else Script(hook, rest, script.command).text)
            return _state(where, hook, "this project was taken off; others are left")
        kept = path.with_name(hook + EDITED)
        if edited:
            path.rename(kept)
        return _state(where, hook, _restore(path) + (f"; yours is kept as {kept.name}" if edited else ""))
    except OSError as error:
        raise _failure("uninstall", path, error) from error


def _restore(path: Path) -> str:
    """The earlier hook is put back by a rename, so that its bytes, mode and times are what they were."""
    earlier = path.with_name(path.name + KEPT)
    if os.path.lexists(earlier):
        earlier.replace(path)
        return "uninstalled; the earlier hook is back"
    path.unlink(missing_ok=True)
    return "uninstalled"


def _write(path: Path, text: str, keep: bool = False) -> None:
    """Whole, executable, and at once, for git may run the hook at any moment; `keep` what is in its place."""
    with whole_file.replacing(path) as private:
        private.write_bytes(text.encode("utf-8", "surrogateescape"))
        private.chmod(0o755)
        if keep:
            path.rename(path.with_name(path.name + KEPT))


def _failure(doing: str, path: Path, error: OSError) -> ModelbuildError:
    return ModelbuildError(
        f"cannot {doing} the hook {path}",
        why=error.strerror or str(error),
        advice="see who owns the folder; `git config core.hooksPath` names it",
        exit_code=EXIT_FAILED,
    )
