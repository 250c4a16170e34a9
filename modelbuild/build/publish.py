"""Folders of products outside the store: complete or absent, and untouched while they are right."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath

from modelbuild.build import canonical, disk
from modelbuild.build.state import State
from modelbuild.errors import EXIT_FAILED, ModelbuildError


def publish(state: State, files: Mapping[str, str], destination: Path) -> bool:
    """Makes `destination` hold exactly `files` (relative path -> digest); False if it already did.

    Raises ModelbuildError (exit 1) if a blob is absent or damaged or the disk refuses; `destination` is then
    as it was.
    """
    for name in files:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or not path.parts:
            raise ModelbuildError(f"{name!r} is no relative path inside {destination}", exit_code=EXIT_FAILED)
    state.published.add(destination)
    if _is_right(state, files, destination):
        return False
    private = _beside(destination, "new")
    try:
        _remove(private)
        disk.make_folder(private)
        for name, digest in sorted(files.items()):
            _copy(state, digest, private / name)
        _exchange(private, destination)
    except OSError as error:
        raise disk.failure("publish", destination, error) from error
    finally:
        _remove(private)
    return True


def withdraw(state: State, destination: Path, stale: Path) -> bool:
    """Moves a product that is no longer right to `stale`, over an older one; False if there is none.

    Raises ModelbuildError (exit 1) if the disk refuses.
    """
    if not destination.is_dir():
        return False
    state.published.add(stale)
    try:
        disk.make_folder(stale.parent)
        _exchange(destination, stale)
    except OSError as error:
        raise disk.failure("withdraw", destination, error) from error
    return True


def remove(state: State) -> tuple[Path, ...]:
    """Removes every folder that was published or withdrawn, and those around them that are empty then.

    Returns the former. What else lies beside them stays; links are not followed, nor removed. Raises
    ModelbuildError (exit 1) if the disk refuses.
    """
    removed = []
    for folder in state.published.folders():
        for half_done in ("new", "old"):
            _remove(_beside(folder, half_done))
        if folder.is_dir() and not folder.is_symlink():
            disk.remove(folder)
            removed.append(folder)
        for parent in folder.parents:
            if parent == state.root or not _remove_empty(parent):
                break
    return tuple(removed)


def _remove_empty(folder: Path) -> bool:
    try:
        folder.rmdir()
    except OSError:  # it holds something, or is none of ours
        return False
    return True


def _is_right(state: State, files: Mapping[str, str], destination: Path) -> bool:
    present = {
        path.relative_to(destination).as_posix() for path in destination.rglob("*") if not path.is_dir()
    }
    return (
        destination.is_dir()
        and present == files.keys()
        and all(_digest(state, destination / name) == digest for name, digest in files.items())
    )


def _digest(state: State, path: Path) -> str:
    label = os.path.relpath(path, state.root).replace(os.sep, "/")
    try:
        return state.stat_cache.digest_now(label, path)
    except ModelbuildError:
        return ""  # whatever it is, it is not what was published


def _copy(state: State, digest: str, target: Path) -> None:
    source = state.store.path(digest)
    disk.make_folder(target.parent)
    with target.open("xb") as stream:
        with suppress(FileNotFoundError), source.open("rb") as blob:
            shutil.copyfileobj(blob, stream, 1 << 20)
        stream.flush()
        disk.flush(stream.fileno())
    if canonical.sha256_of_file(target) != digest:
        state.store.set_aside(digest)
        raise ModelbuildError(
            f"the stored bytes of {target.name} are damaged or gone",
            advice="build again: what made them will run again",
            exit_code=EXIT_FAILED,
        )


def _exchange(source: Path, destination: Path) -> None:
    """Puts `source` where `destination` is. Killed in between, `destination` is absent, never mixed."""
    old = _beside(destination, "old")
    _remove(old)
    if destination.is_dir() and not destination.is_symlink():
        destination.replace(old)
    source.replace(destination)
    _remove(old)


def _beside(destination: Path, what: str) -> Path:
    return destination.with_name(f".{destination.name}.{what}")


def _remove(path: Path) -> None:
    if path.is_dir():
        disk.remove_tree(path)
