"""Everything on the disk that loading and planning looked at: while it stays as it is, so does the plan."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from modelbuild import globs, resources
from modelbuild.artifacts.user_function import files_of
from modelbuild.build import look
from modelbuild.chips.load import recipe_files
from modelbuild.errors import ModelbuildError
from modelbuild.manifest import edits, functions
from modelbuild.manifest.lockfile import LOCK, Lock
from modelbuild.manifest.manifest import Manifest
from modelbuild.manifest.samples import Sets

_PACKAGE = Path(__file__).resolve().parent.parent
_SKIPPED = "__pycache__"


def reads(manifest: Manifest, lock: Lock | None) -> dict[str, str]:
    """Absolute path -> what of it was looked at, a code of `build.look`. Raises OSError for what is gone."""
    root = str(manifest.root)
    found: dict[str, str] = {}
    for path in _program():
        found[path] = look.FOLDER if os.path.isdir(path) else look.FILE  # noqa: PTH112
    for path in map(os.path.abspath, sys.path):
        found.setdefault(path, look.INSTALLED if os.path.isdir(path) else look.KIND)  # noqa: PTH112
    for path, code in (*named(manifest, lock), *(_samples(manifest) if lock is None else ())):
        _add(found, os.path.join(root, path), code)  # noqa: PTH118
    for pattern in (*manifest.included, *sample_patterns(manifest, lock)):
        for path, code in _walked(pattern, root):
            _add(found, path, code)
    return found


def _add(found: dict[str, str], path: str, code: str) -> None:
    """Of a file the whole counts more than its head, and that more than whether it is there."""
    if found.get(path) != look.FILE and (code != look.KIND or path not in found):
        found[path] = code


def _program() -> Iterator[str]:
    """modelbuild's own files: a changed stage, recipe or template is a change of every plan."""
    for top in (_PACKAGE, resources.folder("recipes"), resources.folder("templates")):
        for folder, folders, names in os.walk(top):
            if _SKIPPED in folders:
                folders.remove(_SKIPPED)
            yield folder
            yield from (f"{folder}/{name}" for name in names)


def named(manifest: Manifest, lock: Lock | None) -> Iterator[tuple[str, str]]:
    """The files that the manifest names one by one, absolute or relative to the root, and their codes."""
    spec = manifest.spec
    yield from ((str(path), look.FILE) for path in manifest.files)
    for chip in {target.chip for target in spec.targets.values()}:
        yield from ((str(path), look.FILE) for path in recipe_files(chip, manifest.root))
    for model in spec.models.values():
        whole = model.source_digest is not None or lock is not None
        if model.source_path is not None:
            yield model.source_path, look.FILE if whole else look.HEAD
        for path in (model.weights, model.labels):
            if path is not None:
                yield path, look.HEAD
        if model.postprocess is not None:
            yield from ((path, look.FILE) for path in files_of(model.postprocess, manifest.root))
    for package in spec.packages.values():
        yield from ((path, look.FILE) for path in package.include or ())
    for settings in manifest.examined.values():
        yield from ((path, look.HEAD) for path in edits.files(settings.values["edit"]))
        for measure in functions.of_bounds(settings):
            yield from ((path, look.FILE) for path in files_of(measure, manifest.root))
        if settings.record is not None:
            yield settings.record, look.FILE if lock else look.HEAD
        if settings.scheme is not None:
            yield settings.scheme, look.HEAD
    if lock is not None:
        yield LOCK, look.FILE
        for locked in lock.models.values():
            yield from ((path, look.FILE) for path in (*locked.records, *locked.sources))
        return
    for written in spec.samples.values():
        if written.labels not in (None, "folders"):
            yield str(written.labels), look.FILE


def _samples(manifest: Manifest) -> Iterator[tuple[str, str]]:
    sets = Sets(manifest)
    for name in manifest.spec.samples:
        try:
            entries = sets.get(name).entries
        except ModelbuildError as error:  # it was there when the manifest was loaded
            raise FileNotFoundError(str(error)) from error
        yield from ((str(path), look.HEAD) for sample in entries for path in sample.files.values())


def sample_patterns(manifest: Manifest, lock: Lock | None) -> Iterator[str]:
    """The globs and paths of all sample sets; a locked build reads no samples."""
    for written in manifest.spec.samples.values() if lock is None else ():
        yield from written.files or ()
        for given in (written.inputs or {}).values():
            yield from given.files


def _walked(pattern: str, root: str) -> Iterator[tuple[str, str]]:
    """The folders whose contents decide what a pattern matches, and what links in them lead to."""
    literal = os.path.join(root, pattern)  # noqa: PTH118
    if os.path.isfile(literal):  # noqa: PTH113
        return
    folders = [literal] if os.path.isdir(literal) else globs.folders(pattern, root)  # noqa: PTH112
    for folder in folders:
        yield folder, look.FOLDER
        yield from ((path, look.KIND) for path in look.links(folder))
