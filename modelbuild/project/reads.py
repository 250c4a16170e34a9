"""What a project reads of its repository: by that, most commits are known to concern no model at once."""

from __future__ import annotations

import json
import os
import posixpath
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from modelbuild import __version__
from modelbuild.build import canonical, disk
from modelbuild.errors import ModelbuildError
from modelbuild.project.layout import PASSED
from modelbuild.project.repository import Repository

YAML = (".yaml", ".yml")  # what manifests, included files and recipes are called


class Reads(NamedTuple):
    """Paths from the top of the work tree: `files` that are read, and `folders` of which any file may be. Of
    `manifests`, folders with manifests and recipes, every YAML file counts."""

    files: frozenset[str]
    folders: frozenset[str]
    manifests: frozenset[str]

    def touches(self, path: str) -> bool:
        """Whether a change of the file could change what the project builds."""
        return self.names(path) or any(_is_below(path, folder) for folder in self.folders)

    def names(self, path: str) -> bool:
        """Whether the file is read by its own name, or may say what else is read."""
        return path in self.files or (
            path.endswith(YAML) and any(_is_below(path, folder) for folder in self.manifests)
        )


class Passed(NamedTuple):
    """What a check that found no error had read. `exact` is the digest of all of it, `named` of the files
    alone, which say what else is read."""

    reads: Reads
    exact: str
    named: str


def staged_paths(repository: Repository) -> list[str]:
    """The files that the next commit changes, from the top of the work tree."""
    words = ("diff-index", "--cached", "--name-only", "-z", "--no-renames", "--ignore-submodules=none")
    try:
        return repository.names(*words, "HEAD", "--")
    except ModelbuildError:
        if repository.succeeds("rev-parse", "--verify", "--quiet", "HEAD"):
            raise
        # before the first commit: against the empty tree
        empty = os.fsdecode(repository.git("hash-object", "-t", "tree", "--stdin")).strip()
        return repository.names(*words, empty, "--")


def staged_files(repository: Repository) -> dict[str, str]:
    """Path -> mode, object and stage of all that the index holds."""
    entries = (line.partition("\t") for line in repository.names("ls-files", "-z", "--stage"))
    return {path: told for told, _, path in entries}


def passed(reads: Reads, index: Mapping[str, str]) -> Passed:
    """What is to be remembered of a check of this index that passed."""
    return Passed(
        reads, _digest(index, filter(reads.touches, index)), _digest(index, filter(reads.names, index))
    )


def is_same(known: Passed, index: Mapping[str, str]) -> bool:
    """Whether the index holds what was checked."""
    return _digest(index, filter(known.reads.touches, index)) == known.exact


def is_valid(known: Passed, index: Mapping[str, str]) -> bool:
    """Whether the files that say what is read are what they were, so that `reads` is still true."""
    return _digest(index, filter(known.reads.names, index)) == known.named


def load(folder: Path, file: str) -> Passed | None:
    """What was remembered of the manifest `folder`/`file`, unless it is damaged or another version's."""
    data = disk.read(_kept_at(folder, file))
    if data is None:
        return None
    try:
        content = disk.unseal(data)
    except disk.Damaged:
        return None
    if (content["version"], content.get("manifest")) != (__version__, file):
        return None
    reads = Reads(**{name: frozenset(paths) for name, paths in content["reads"].items()})
    return Passed(reads, content["exact"], content["named"])


def save(folder: Path, file: str, known: Passed) -> None:
    """Remembers it of the manifest `folder`/`file`, in one file. Raises ModelbuildError (exit 1)."""
    reads = {name: sorted(getattr(known.reads, name)) for name in ("files", "folders", "manifests")}
    content = {
        "version": __version__,
        "manifest": file,
        "reads": reads,
        "exact": known.exact,
        "named": known.named,
    }
    path = _kept_at(folder, file)
    disk.write(path, disk.seal(content), path.parent / "work")


def _kept_at(folder: Path, file: str) -> Path:
    return folder / f"{PASSED}.{file.replace('/', '_')}"


def from_top(top: Path, prefix: str, paths: Iterable[str]) -> frozenset[str]:
    """Paths of a project as paths from the top of the work tree, and where links lead to; those outside of it
    are left out."""
    found = {posixpath.normpath(posixpath.join(prefix, path)) for path in paths}
    found |= {os.path.relpath(os.path.realpath(top / path), top).replace(os.sep, "/") for path in found}
    return frozenset(path for path in found if not path.startswith(("../", "/")) and path != "..")


def _digest(index: Mapping[str, str], paths: Iterable[str]) -> str:
    return canonical.sha256(json.dumps([[path, index[path]] for path in sorted(paths)]).encode())


def _is_below(path: str, folder: str) -> bool:
    return folder in (".", path) or path.startswith(folder + "/")
