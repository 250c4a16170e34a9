"""A repository as its index or a commit holds it, beside the work tree: links where the two agree."""

from __future__ import annotations

import fnmatch
import os
import posixpath
import re
import shlex
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from modelbuild.build import disk
from modelbuild.errors import ModelbuildError, Problem
from modelbuild.project.repository import Repository

LINK = "120000"  # git's mode of a symbolic link
INTENT_TO_ADD = 1 << 29  # of an index entry's flags, as `git ls-files --debug` shows them
NAMING = (".yaml", ".yml", ".py")  # files that may name others by paths through the folder above
NOT_MIRRORED = frozenset({".git", ".modelbuild"})


@dataclass(frozen=True)
class Differences:
    """Where index and work tree part, as paths from the top: files whose content comes from the index, files
    that the index does not have (git-ignored ones are no difference), and links that both have."""

    recorded: frozenset[str]
    absent: frozenset[str]
    links: frozenset[str]
    own: frozenset[str]  # files whose folders are no links: what stands in them names others by `..`
    unwatched: frozenset[str] = (
        frozenset()
    )  # of `recorded`, those of which git does not know whether they agree
    copied: frozenset[str] = frozenset()  # files that agree, and yet are copied

    @property
    def folders(self) -> frozenset[str]:
        """Every folder that has one of these in it or below it, the top among them."""
        found = {""}
        for path in (*self.recorded, *self.absent, *self.links, *self.own, *self.copied):
            while (path := posixpath.dirname(path)) not in found:
                found.add(path)
        return frozenset(found)


@dataclass(frozen=True)
class Tree:
    """The mirror of a whole repository. `not_recorded` are files of the work tree that it lacks."""

    repository: Repository
    top: Path
    not_recorded: frozenset[str]

    def folder(self, original: Path) -> Path:
        """Where a folder of the work tree is in the mirror."""
        return self.top / self.repository.prefix(original)

    def in_work_tree(self, text: str) -> str:
        """A text in which files of the mirror are called what they are called in the work tree."""
        return text.replace(str(self.top), str(self.repository.top))


@contextmanager
def mirror(repository: Repository, project: Path, place: Path, commit: str = "") -> Iterator[Tree]:
    """The index, or a commit, for the project's folder, at `place`, which is removed afterwards.

    Files that git ignores, and those outside of the repository, are the work tree's: samples too large for
    git are needed too. Submodules are as they are checked out. Raises ModelbuildError: exit 2 for a conflict
    that is not resolved, exit 1 where git or the disk fails.
    """
    index = place.parent / "index" if commit else None
    disk.remove(place)
    try:
        disk.make_folder(place)
        if index is not None:
            _read_commit(repository, commit, index)
        differences = _differences(repository, repository.prefix(project), index)
        _export(repository, differences, place, index)
        differences = _with_weights(repository, differences, place)
        _fill(repository.top, place, differences)
        yield Tree(repository, place, differences.absent)
    except OSError as error:
        raise disk.failure("mirror the repository in", place, error) from error
    finally:
        disk.remove(place)
        if index is not None:
            disk.remove(index)


def _read_commit(repository: Repository, commit: str, index: Path) -> None:
    """An index of the commit. What it shares with the repository's own keeps the times noted there, so that
    git need not read those files to know that they are unchanged."""
    own = Path(os.fsdecode(repository.git("rev-parse", "--git-path", "index")).rstrip("\n"))
    own = repository.top / own
    disk.remove(index)
    if own.is_file():
        shutil.copyfile(own, index)
    repository.git("read-tree", "--reset", commit, index=index)


def _differences(repository: Repository, project: str, index: Path | None) -> Differences:
    words = repository.names(
        "diff", "--name-status", "-z", "--no-renames", "--no-ext-diff", "--ignore-submodules=all", index=index
    )
    pairs = list(zip(words[1::2], words[::2], strict=True))
    unmerged = sorted(path for path, state in pairs if state == "U")
    if unmerged:
        raise ModelbuildError(
            f"{unmerged[0]} has a conflict that is not resolved", advice="resolve it and `git add` it"
        )
    # `git add -N` has announced the file, and a commit does not hold it; "D" is of one that is gone again
    announced = {path for path, state in pairs if state == "A"}
    if any(state == "D" for _, state in pairs):
        announced |= _announced(repository, index)
    others = repository.names("ls-files", "-z", "--others", "--exclude-standard", index=index)
    entries = [entry.partition("\t") for entry in repository.names("ls-files", "-z", "--stage", index=index)]
    unwatched = frozenset(repository.unwatched(index))
    recorded = (unwatched | {path for path, _ in pairs}) - announced
    return Differences(
        recorded=recorded,
        absent=frozenset(announced | {path.rstrip("/") for path in others}),
        links=frozenset(path for mode, _, path in entries if mode.startswith(LINK)) - recorded,
        own=frozenset(path for _, _, path in entries if path.endswith(NAMING))
        | {posixpath.join(project, ".")},
        unwatched=unwatched,
    )


def _announced(repository: Repository, index: Path | None) -> set[str]:
    told = repository.git("ls-files", "--debug", "-z", index=index)
    entries = re.findall(rb"([^\0]+)\0(?: .*\n)+?  size: .*\tflags: ([0-9a-f]+)\n", told)
    return {os.fsdecode(path) for path, flags in entries if int(flags, 16) & INTENT_TO_ADD}


def _export(repository: Repository, differences: Differences, place: Path, index: Path | None) -> None:
    """Writes files from the index as a checkout would, filters (line ends, LFS) included."""
    data = b"".join(os.fsencode(path) + b"\0" for path in sorted(differences.recorded))
    # git before 2.35 has no such option, and needs it for nothing
    bits = ["--ignore-skip-worktree-bits"] if differences.unwatched else []
    if data:
        repository.git(
            "checkout-index", *bits, "-z", "--stdin", f"--prefix={place}/", stdin=data, index=index
        )


def _with_weights(repository: Repository, differences: Differences, place: Path) -> Differences:
    """Weights beside an exported model are copied: a link would lead out of the model's folder, which an
    importer refuses."""
    from modelbuild import importers  # loads no framework before it is asked for a file it knows

    copied: set[str] = set()
    for name in sorted(differences.recorded):
        path = place / name
        if path.suffix.lower() in importers.IMPORTERS and path.is_file():
            try:
                found = importers.discover(path)
            except ModelbuildError:
                continue  # the check reads it too, and tells
            copied.update(other.relative_to(place).as_posix() for other in found)
    copied -= differences.recorded | differences.absent
    kept = frozenset(name for name in copied if (repository.top / name).is_file())
    return replace(differences, copied=kept)


def _fill(top: Path, place: Path, differences: Differences) -> None:
    """Links all that does not differ: whole folders where nothing in them does."""
    folders = differences.folders
    skipped = differences.recorded | differences.absent

    def fill(folder: str) -> None:
        (place / folder).mkdir(exist_ok=True)
        with os.scandir(top / folder) as entries:
            for entry in entries:
                path = posixpath.join(folder, entry.name)
                if entry.name in NOT_MIRRORED or path in skipped:
                    continue
                if path in folders:
                    if entry.is_dir(follow_symlinks=False):
                        fill(path)
                elif path in differences.copied:
                    shutil.copyfile(top / path, place / path)
                else:
                    (place / path).symlink_to(_target(top, path, entry.is_symlink()))

    fill("")


def _target(top: Path, path: str, is_link: bool) -> Path:
    """What the link in the mirror says: as the repository's own, if that stays inside, else the original."""
    if is_link:
        written = (top / path).readlink()
        inside = posixpath.normpath(posixpath.join(posixpath.dirname(path), written.as_posix()))
        if not written.is_absolute() and inside != ".." and not inside.startswith("../"):
            return written
    return top / path


def relocated(error: ModelbuildError, tree: Tree, folder: Path) -> ModelbuildError:
    """The error with the work tree's paths, and with what to do where a file is not recorded.

    `folder` is the project's, that paths in messages are relative to.
    """
    prefix = tree.repository.prefix(folder) or "."
    names = {posixpath.relpath(path, prefix): path for path in sorted(tree.not_recorded)}
    return ModelbuildError.of(
        (_relocated(problem, tree, names, prefix) for problem in error.problems), error.exit_code
    )


def _relocated(problem: Problem, tree: Tree, names: dict[str, str], prefix: str) -> Problem:
    texts = {field: tree.in_work_tree(text) for field, text in problem._asdict().items()}
    told = texts["what"], texts["where"], texts["why"]
    missing = [name for name in names if any(mentions(text, name) for text in told)]
    if missing:
        several = len(missing) > 1
        what = f"{missing[0]} and {len(missing) - 1} more are" if several else "it is"
        texts["why"] = f"{what} in the work tree, but git was not told of {'them' if several else 'it'}"
        paths = _paths_to_add(told, missing, prefix) if several else [names[missing[0]]]
        texts["advice"] = f"`git add {shlex.join(paths)}`"
    return Problem(**texts)


def _paths_to_add(told: Iterable[str], missing: Iterable[str], prefix: str) -> list[str]:
    """What `git add` takes at the top for these files of the project's folder `prefix`: the globs that were
    told of, as git understands them, where they match."""
    globs = [glob for text in told for glob in _globs(text)]
    named = (next((glob for glob in globs if fnmatch.fnmatch(name, glob)), name) for name in missing)
    paths = (posixpath.normpath(posixpath.join(prefix, name)) for name in dict.fromkeys(named))
    return [f":(glob){path}" if "**" in path else path for path in paths]


def _globs(text: str) -> Iterator[str]:
    yield from (word.strip("`'\",:;()") for word in text.split() if "*" in word)


def mentions(text: str, name: str) -> bool:
    """Whether the text has the name as a whole, or a glob that it matches."""
    if any(fnmatch.fnmatch(name, glob) for glob in _globs(text)):
        return True
    return name in text and re.search(rf"(?<![\w./-]){re.escape(name)}(?![\w/-]|\.\w)", text) is not None
