"""Where the files lie that a build of a selection rests on, and how they look: what `watch` waits for."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

from modelbuild import globs, resources
from modelbuild.build.action import Action, FileInput
from modelbuild.build.key import discovery_fields, key_of
from modelbuild.build.plan import plan
from modelbuild.build.state import open_state
from modelbuild.chips.load import recipe_files
from modelbuild.errors import ModelbuildError
from modelbuild.manifest import include, tree
from modelbuild.manifest.lockfile import LOCK
from modelbuild.manifest.problems import Problems
from modelbuild.project.goals import goals
from modelbuild.project.project import DIST, REPORTS, STATE, Project
from modelbuild.samples.loader import gather_files

_OWN = (STATE, DIST, REPORTS)  # what builds write: to look at it would be to go round for ever
_LONGEST_PATH = 4096
_MOST_LINKS = 40  # as many as Linux follows for one path
Look = Mapping[str, tuple[int, ...] | None]  # path -> how stat(2) finds it; None: it is not there


@dataclass(frozen=True)
class Places:
    """`files` are absolute, and `discovered` those among them that only a build knows of; `patterns` are
    globs, folders or files, relative to `root` unless absolute."""

    root: str
    files: frozenset[str]
    patterns: frozenset[str] = frozenset()
    discovered: frozenset[str] = frozenset()

    def __or__(self, other: Places) -> Places:
        patterns, discovered = self.patterns | other.patterns, self.discovered | other.discovered
        return Places(self.root, self.files | other.files, patterns, discovered)

    def look(self) -> Look:
        """How every file looks now, those that the patterns match among them."""
        found = set(self.files)
        for pattern in self.patterns:
            found.update(_matches(pattern, self.root))
        return self.look_at(found)

    def look_at(self, paths: Iterable[str]) -> Look:
        """How these files look now, without those that builds write."""
        return {path: _stat(path) for path in sorted(paths) if not _is_own(path, self.root)}

    def folders(self) -> list[str]:
        """The folders whose entries' changes are all that matters, also behind links; of what is not there,
        the nearest."""
        wanted = {self.root}
        files = set(self.files)
        for pattern in self.patterns:
            wanted.update(_listed(pattern, self.root))
            files.update(_matches(pattern, self.root))
        files = {path for path in files if not _is_own(path, self.root)}
        found = set[str]()
        for path in _behind_links(wanted, files, self.root):
            while path not in found:
                if os.path.isdir(path):  # noqa: PTH112
                    found.add(path)
                    if not path.startswith(self.root + os.sep):
                        break
                path = os.path.dirname(path)  # noqa: PTH120
        return sorted(path for path in found if not _is_own(path, self.root))


def of_manifest(path: Path) -> Places:
    """Of a manifest that may be broken: its files, and all that might be a path in them."""
    root = str(path.parent)
    try:
        sources = include.read(path, Problems())
    except ModelbuildError:
        return Places(root, frozenset({str(path)}))
    words = {text for text in _texts(sources.tree) if _may_be_path(text)}
    return Places(root, frozenset(map(str, sources.files)), frozenset(words) | frozenset(sources.patterns))


def of_project(project: Project, names: Sequence[str], until: str | None) -> Places:
    """Of a project and a selection, with the files that earlier builds discovered."""
    root, manifest = project.root, project.manifest
    actions = list(plan(project.plan.actions, goals(project, names, until)).actions.values())
    files = [*manifest.files, root / LOCK, *resources.folder("templates").rglob("*.j2")]
    for target in manifest.spec.targets.values():
        files += recipe_files(target.chip, root)
    files += [root / str(one.labels) for one in manifest.spec.samples.values() if one.labels]
    files += [Path(keys.sources.key_file) for keys in manifest.keys.values() if keys.sources.key_file]
    files += [
        root / source.path
        for action in actions
        for source in action.inputs.values()
        if isinstance(source, FileInput)
    ]
    discovered = frozenset(_normal(root / path) for path in _discovered(project, actions))
    patterns = set(manifest.included)
    for written in manifest.spec.samples.values():
        for listed in (written.files, *(given.files for given in (written.inputs or {}).values())):
            patterns.update(listed or ())
    return Places(str(root), discovered.union(map(_normal, files)), frozenset(patterns), discovered)


def changes(before: Look, after: Look) -> list[str]:
    """The paths that look otherwise."""
    return sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))


def _discovered(project: Project, actions: Iterable[Action]) -> Iterator[str]:
    state = open_state(project.root, project.root / STATE, writable=False)
    for action in actions:
        if action.discover is not None:
            try:
                paths = action.paths().items()
                digests = {role: state.stat_cache.digest(path, project.root / path) for role, path in paths}
                record = state.records.get(key_of(discovery_fields(action, digests)))
            except ModelbuildError:
                continue  # the file is not there: the build says so, and its place is watched
            yield from record.discovered if record else ()


def _texts(node: tree.Node) -> Iterator[str]:
    if isinstance(node, tree.Scalar):
        yield node.text
    elif isinstance(node, tree.Items):
        for item in node.nodes:
            yield from _texts(item)
    else:
        for entry in node.entries.values():
            yield from _texts(entry.node)


def _may_be_path(text: str) -> bool:
    return 0 < len(text) < _LONGEST_PATH and not set(text) & set("\0\n") and bool(set(text) & set("./*"))


def _normal(path: Path) -> str:
    return os.path.normpath(path)


def _matches(pattern: str, root: str) -> list[str]:
    """What a pattern stands for; a file that is not there stands for itself."""
    try:
        return [str(path) for path in gather_files(pattern, Path(root))]
    except (ModelbuildError, OSError, ValueError, RecursionError):
        return [] if glob.has_magic(pattern) else [_normal(Path(root, pattern))]


def _listed(pattern: str, root: str) -> Iterator[str]:
    """The folders that a pattern looks into, and the one that it starts in, whether or not that is there."""
    base = Path(root, globs.fixed_folder(pattern))
    yield _normal(base)
    if not glob.has_magic(pattern):
        yield _normal(base.parent)
    with suppress(OSError, ValueError, RecursionError):
        yield from map(_normal, map(Path, globs.folders(pattern, root)))


def _behind_links(folders: set[str], files: Iterable[str], root: str) -> Iterator[str]:
    """The folders and those of the files and, where any of them is reached by links, the folders of these
    and of what they lead to. Links above the root are left alone."""
    found = set(folders)
    for path in files:
        found.add(os.path.dirname(path))  # noqa: PTH120
        if os.path.islink(path):  # noqa: PTH114
            found.update(map(os.path.dirname, _ways(path, root)))
    for folder in found:
        *links, end = _ways(folder, root)
        yield from (folder, end, *map(os.path.dirname, links))


def _ways(path: str, root: str) -> Iterator[str]:
    """Each link that the system follows to find the path, and then where that ends."""
    for _ in range(_MOST_LINKS):
        heads = accumulate(Path(path).parts, os.path.join)
        below = (head for head in heads if not Path(root).is_relative_to(head))
        link = next((head for head in below if os.path.islink(head)), None)  # noqa: PTH114
        if link is None:
            break
        yield link
        path = os.path.join(os.path.dirname(link), os.readlink(link)) + path[len(link) :]  # noqa: PTH115, PTH118, PTH120
    yield os.path.normpath(path)


def _is_own(path: str, root: str) -> bool:
    return any(path == f"{root}/{own}" or path.startswith(f"{root}/{own}/") for own in _OWN)


def _stat(path: str) -> tuple[int, ...] | None:
    try:
        found = os.stat(path)  # noqa: PTH116
    except (OSError, ValueError):
        return None
    return found.st_mode, found.st_size, found.st_mtime_ns, found.st_ino, found.st_ctime_ns
