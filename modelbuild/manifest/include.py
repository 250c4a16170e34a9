"""`include:` - further files, merged into one tree; what two files define is an error naming both."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from modelbuild import globs
from modelbuild.errors import ModelbuildError
from modelbuild.manifest import document
from modelbuild.manifest.problems import Problems
from modelbuild.manifest.tree import Entry, Items, Mapping, Node, Scalar

SECTIONS = ("samples", "models", "targets", "packages")  # merged entry by entry
_MAX_FILES = 2000


@dataclass(frozen=True)
class Sources:
    """The merged manifest and the files that it was read from, the first one being the manifest itself;
    `patterns` are all that name them."""

    tree: Mapping
    files: tuple[Path, ...]
    patterns: tuple[str, ...]


def read(path: Path, problems: Problems, text: str | None = None) -> Sources:
    """Reads the manifest and everything it includes; what is wrong with those goes to `problems`. With a
    `text` that is the manifest, and there need be no file at `path`."""
    root = path.parent
    tree = document.read(path, path.name) if text is None else document.parse(text, path.name)
    merged = _own_sections(tree)
    files = [path]
    seen = {_identity(path)}
    waiting = _patterns(tree)
    patterns: list[str] = []
    while waiting:
        pattern = waiting.pop(0)
        patterns.append(pattern.text)
        for found in _matches(pattern, root, problems):
            if _identity(found) in seen:
                continue
            seen.add(_identity(found))
            files.append(found)
            if len(files) > _MAX_FILES:
                raise ModelbuildError(f"more than {_MAX_FILES} manifest files", where=str(pattern.at))
            try:
                part = document.read(found, Path(os.path.relpath(found, root)).as_posix())
            except ModelbuildError as error:
                problems.keep_all(error.problems)
                continue
            _merge(merged, part, problems)
            waiting += _patterns(part)
    return Sources(merged, tuple(files), tuple(patterns))


def _identity(path: Path) -> str:
    return os.path.realpath(path)


def _patterns(tree: Mapping) -> list[Scalar]:
    entry = tree.entries.get("include")
    if entry is None:
        return []
    nodes = entry.node.nodes if isinstance(entry.node, Items) else (entry.node,)
    return [
        node for node in nodes if isinstance(node, Scalar) and node.text.strip() and "\0" not in node.text
    ]


def _matches(pattern: Scalar, root: Path, problems: Problems) -> list[Path]:
    from modelbuild.samples.files import sort_key  # numpy stands behind it: not for who includes nothing

    try:
        literal = root / pattern.text
        names = [] if literal.is_file() else globs.matches(pattern.text, str(root))
        matched = [root / name for name in names] or [literal]
        found = sorted((path for path in matched if path.is_file()), key=sort_key)
        broken = [path for path in matched if path.is_symlink() and not path.exists()]
    except (OSError, ValueError, NotImplementedError, RecursionError):
        found = broken = []
    for path in broken:
        problems.error(
            f"`include`: {path.name} is a link that leads nowhere",
            pattern.at,
            f"it points to {os.readlink(path)}",  # noqa: PTH115 - as it is written
            "put the file there, or remove the link",
        )
    if not found and not broken:
        problems.error(
            f"`include`: no file matches `{pattern.text}`",
            pattern.at,
            "paths are relative to the folder of the manifest",
            "correct the path or the glob",
        )
    return found


def _own_sections(tree: Mapping) -> Mapping:
    """A copy whose sections can be added to; a section with nothing in it is an empty mapping."""
    copy = Mapping(tree.at, dict(tree.entries))
    for name in SECTIONS:
        if name in copy.entries and (section := _section(copy.entries[name])) is not None:
            copy.entries[name] = Entry(copy.entries[name].key_at, section)
    return copy


def _section(entry: Entry) -> Mapping | None:
    node = entry.node
    if isinstance(node, Scalar) and node.is_null:
        return Mapping(node.at)
    return Mapping(node.at, dict(node.entries)) if isinstance(node, Mapping) else None


def _merge(merged: Mapping, part: Mapping, problems: Problems) -> None:
    """Adds what `part` defines to `merged`, whose sections are its own."""
    for key, entry in _own_sections(part).entries.items():
        first = merged.entries.get(key)
        if key == "include":
            continue
        if first is None:
            merged.entries[key] = entry
        elif key in SECTIONS and isinstance(first.node, Mapping) and isinstance(entry.node, Mapping):
            for name, inner in entry.node.entries.items():
                if name in first.node.entries:
                    _clash(f"`{name}` in `{key}`", first.node.entries[name], inner, problems)
                else:
                    first.node.entries[name] = inner
        elif key != "modelbuild" or _text(first.node) != _text(entry.node):
            _clash(f"`{key}`", first, entry, problems)


def _text(node: Node) -> str | None:
    return node.text if isinstance(node, Scalar) else None


def _clash(what: str, first: Entry, second: Entry, problems: Problems) -> None:
    problems.error(
        f"{what} is defined twice",
        second.key_at,
        f"the first is at {first.key_at}",
        "keep one, or rename the other",
    )
