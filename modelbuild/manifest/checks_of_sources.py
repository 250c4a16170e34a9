"""Checks of model files: there, fetched, of a kind that is read, and what their digest says."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from modelbuild import address, lfs
from modelbuild.errors import ModelbuildError, did_you_mean
from modelbuild.importers import IMPORTERS, check_weights, importer_for
from modelbuild.manifest import tree
from modelbuild.manifest.checks import complete
from modelbuild.manifest.manifest import Manifest
from modelbuild.manifest.model import Model
from modelbuild.manifest.problems import Problems
from modelbuild.toolchains import builtin


def check_sources(manifest: Manifest, problems: Problems) -> None:
    """Model files that are missing, not fetched, of a kind not read, or not what their digest says."""
    for name, model in manifest.spec.models.items():
        if not complete(manifest, "models", name, "source"):
            continue
        base: tree.Path = ("models", name)
        _source(manifest, model, base, problems)
        if model.labels is not None:
            labels_at = tree.place(manifest.tree, (*base, "labels"))
            check_file(manifest, model.labels, labels_at, "list of class names", problems)
        _weights(manifest, model, base, problems)


def _source(manifest: Manifest, model: Model, base: tree.Path, problems: Problems) -> None:
    short, url, path = isinstance(model.source, str), model.source_url, model.source_path
    inner = ("source",) if short else ("source", "path") if url is None else ("source", "url")
    at = tree.place(manifest.tree, (*base, *inner))
    if url is None and path is not None and not address.is_address(path):
        if not _suffix(manifest.root / path, at, problems):
            return
        present = check_file(manifest, path, at, "model", problems)
        if present and model.source_digest:
            of_digest = tree.place(manifest.tree, (*base, "source", "sha256"))
            _digest(manifest.root / path, model.source_digest, of_digest, problems)
    elif (wrong := address.mistake(url or path or "")) is not None:
        problems.error(f"`source`: {wrong[0]}", at, advice=wrong[1])
    elif url is None:
        _misplaced(path or "", model, at, problems)
    else:
        _suffix(Path(address.file_name(url)), at, problems, fetched=False)


def _weights(manifest: Manifest, model: Model, base: tree.Path, problems: Problems) -> None:
    """The file of weights: there, and one that goes with the source's format."""
    importer = IMPORTERS.get(Path(model.source_name).suffix.lower())
    if importer is None or (model.is_fixed and model.weights is None):
        return
    at = tree.place(manifest.tree, (*base, "source" if model.weights is None else "weights"))
    try:
        check_weights(importer, None if model.weights is None else Path(model.weights))
    except ModelbuildError as error:
        problems.error(error.problems[0].what, at, error.problems[0].why, error.problems[0].advice)
        return
    if model.weights is not None and address.is_address(model.weights):
        problems.error(
            "`weights` takes no address", at, advice="fetch the file, and name the path that it has here"
        )
    elif model.weights is not None:
        check_file(manifest, model.weights, at, "file of weights", problems)


def _misplaced(url: str, model: Model, at: tree.Position, problems: Problems) -> None:
    """An address where a path is expected: as it stands alone, it lacks its digest."""
    if model.source_digest is not None:
        problems.error("`path` takes no address", at, advice="write it under `url:`")
        return
    problems.error(
        "a source at an address needs its `sha256`",
        at,
        "so that every build gets the same file, from whatever mirror",
        f"write `source: {{url: {address.shown(url)}, sha256: …}}` with the 64 hex digits that "
        f"`{address.how_to_digest(url)}` prints",
    )


def _suffix(path: Path, at: tree.Position, problems: Problems, fetched: bool = True) -> bool:
    """Whether files with this suffix are read; if not, says so, and how to make of them one that is."""
    suffix = path.suffix.lower()
    if suffix in IMPORTERS:
        return True
    if suffix in builtin.REFUSED_SOURCES:
        problems.error(
            f"the builtin toolchain cannot read `{suffix}` files",
            at,
            f"they are a vendor's own form, for the toolchain {builtin.REFUSED_SOURCES[suffix]} only",
            "use the ONNX model that it was made from",
        )
    else:
        try:
            importer_for(path, fetched=fetched)
        except ModelbuildError as error:
            first = error.problems[0]
            problems.error(first.what, at, first.why, first.advice)
    return False


def check_file(manifest: Manifest, path: str, at: tree.Position | str, what: str, problems: Problems) -> bool:
    """Whether the file is there and is itself; if not, says so at `at`."""
    full = manifest.root / path
    try:
        if full.is_file():
            if full.stat().st_size > lfs.LARGEST_POINTER or not lfs.is_pointer(full):
                return os.access(full, os.R_OK) or _unreadable(path, at, what, problems)
            problems.error(
                f"the {what} {path} is {lfs.WHAT}",
                at,
                advice=lfs.ADVICE,
            )
            return False
        found = "is a folder" if full.is_dir() else "does not exist"
    except (OSError, ValueError) as error:
        found = f"cannot be read: {error}"
    problems.error(
        f"the {what} {path} {found}",
        at,
        f"looked for {full}" if found == "does not exist" else "",
        _similar(full, at, manifest, path),
    )
    return False


def _unreadable(path: str, at: tree.Position | str, what: str, problems: Problems) -> bool:
    problems.error(f"the {what} {path} may not be read", at, advice="change its permissions")
    return False


def _similar(full: Path, at: tree.Position | str, manifest: Manifest, path: str) -> str:
    """The nearest file of the folder; or where a path that is meant relative to an included file would be."""
    beside = Path(str(at).partition(":")[0]).parent / path
    try:
        if beside.as_posix() != path and (manifest.root / beside).is_file():
            return f"paths are relative to {manifest.path.name}: write {beside.as_posix()}"
        there = (
            [entry.name for entry in full.parent.iterdir() if entry.is_file()] if full.parent.is_dir() else []
        )
    except (OSError, ValueError):
        there = []
    # a common suffix alone makes no name near: `syn.py` is not what `missing.py` was meant to be
    near = [name for name in there if did_you_mean(full.stem, [Path(name).stem])]
    return did_you_mean(full.name, near) or "correct the path"


def _digest(path: Path, expected: str, at: tree.Position, problems: Problems) -> None:
    try:
        with path.open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        problems.error("cannot read the model", at, error.strerror or "")
        return
    if found != expected:
        problems.error("the model is another file than its `sha256` says", at, f"its digest is {found}")
