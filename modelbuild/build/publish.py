"""Folders of products outside the store: complete or absent, and untouched while they are right."""

from __future__ import annotations

import errno
import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath

from modelbuild.build import canonical, disk
from modelbuild.build.state import State
from modelbuild.errors import EXIT_FAILED, ModelbuildError

_BLOCK = 1 << 20  # bytes
# It holds something, is gone already, is a link, or a file system is mounted there.
_NOT_EMPTY = {errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT, errno.ENOTDIR, errno.EBUSY}


def preload() -> None:
    """Imports what `publish` else imports when all waits for it."""
    import ctypes  # noqa: F401 - for `disk.exchange`


def publish(state: State, files: Mapping[str, str], destination: Path, owner: str = "") -> bool:
    """Makes `destination` hold exactly `files` (relative path -> digest); False if it already did.

    Raises ModelbuildError (exit 1) if a blob is absent or damaged, something else lies in the way, or the
    disk refuses; `destination` is then as it was.
    """
    for name in files:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or not path.parts:
            raise ModelbuildError(f"{name!r} is no relative path inside {destination}", exit_code=EXIT_FAILED)
    state.published.add(destination, owner)
    private = _beside(destination, "new")
    try:
        _clear(destination)
        right, others = _looked_over(state, files, destination)
        if len(right) == len(files) and not others:
            return False
        check_place(state.root, destination)
        try:
            _fill(state, files, private, {name: destination / name for name in right})
            disk.put_folder(private, destination, _beside(destination, "old"))
        finally:
            _delete(private)
    except OSError as error:
        raise disk.failure("publish", destination, error) from error
    return True


def withdraw(state: State, destination: Path, stale: Path) -> bool:
    """Moves a product that is no longer right to `stale`, over an older one; False if there is none.

    Raises ModelbuildError (exit 1) if the disk refuses.
    """
    try:
        if not disk.is_folder(destination):
            return False
        state.published.add(stale, state.published.owner(destination))
        disk.make_folder(stale.parent)
        _remove(stale)
        check_place(state.root, stale)
        destination.replace(stale)
    except OSError as error:
        raise disk.failure("withdraw", destination, error) from error
    state.published.forget(destination)
    return True


def check_place(root: Path, destination: Path) -> None:
    """Raises ModelbuildError (exit 1) if something that is no folder is where the product, or a folder around
    it below the root, has to be. A link to a folder may stand for any of those, but not for the product."""
    around = [folder for folder in destination.parents if folder != root and root in folder.parents]
    for place in [*reversed(around), destination]:
        try:
            if disk.is_folder(place) or (place != destination and place.is_dir()):
                continue
            if not os.path.lexists(place):
                return
        except OSError as error:
            raise disk.failure("publish", destination, error) from error
        raise ModelbuildError(
            f"{place} is {_what_is(place)}, so {destination.name} cannot be put there",
            why=f"{destination} has to be a folder",
            advice="move it away, and build again: modelbuild replaces only folders that it made",
            exit_code=EXIT_FAILED,
        )


def superseded(state: State, owner: str, current: Collection[Path], below: Path) -> Iterator[Path]:
    """The folders directly in `below` that were published for the owner, are there, and are not current."""
    for folder in state.published.folders(owner):
        if folder.parent == below and folder not in current and disk.is_folder(folder):
            yield folder


def remove(state: State) -> tuple[Path, ...]:
    """Removes every folder that was published or withdrawn, and those around them that are empty then.

    Returns the former. What else lies beside them stays; links are not followed, nor removed. Raises
    ModelbuildError (exit 1) if the disk refuses.
    """
    removed = []
    for folder in state.published.folders():
        try:
            _clear(folder)
            if disk.is_folder(folder):
                _remove(folder)
                removed.append(folder)
        except OSError as error:
            raise disk.failure("remove", folder, error) from error
        for parent in folder.parents:
            if parent == state.root or not _remove_empty(parent):
                break
    return tuple(removed)


def _remove_empty(folder: Path) -> bool:
    try:
        folder.rmdir()
    except OSError as error:
        if error.errno in _NOT_EMPTY:
            return False
        raise disk.failure("remove", folder, error) from error
    return True


def _what_is(path: Path) -> str:
    if path.is_symlink():
        return "a link" if path.exists() else "a link to nothing"
    return "a file" if path.is_file() else "no folder"


def _looked_over(state: State, files: Mapping[str, str], destination: Path) -> tuple[set[str], bool]:
    """The files that lie in the product already, as they shall be, and whether there is anything else."""
    if not disk.is_folder(destination):
        return set(), True
    found = set(_present(destination))
    right = {name for name in found & files.keys() if _digest(state, destination / name) == files[name]}
    return right, len(right) < len(found)


def _present(folder: Path) -> Iterator[str]:
    """Everything in the folder but folders, by its relative POSIX path; links are not followed."""
    for entry in os.scandir(folder):
        if entry.is_dir(follow_symlinks=False):
            yield from (f"{entry.name}/{name}" for name in _present(folder / entry.name))
        else:
            yield entry.name


def _digest(state: State, path: Path) -> str:
    label = os.path.relpath(path, state.root).replace(os.sep, "/")
    try:
        return "" if path.is_symlink() else state.stat_cache.digest_now(label, path)
    except ModelbuildError:
        return ""  # whatever it is, it is not what was published


def _fill(state: State, files: Mapping[str, str], private: Path, right: Mapping[str, Path]) -> None:
    """Puts the files into the new folder; those of the product that are `right` are in both from then on."""
    disk.make_folder(private)
    copied = [name for name in sorted(files) if not _link(private / name, right.get(name))]
    for name in copied:
        _copy(state, files[name], private / name)
    for name in copied:  # after all were written: the first flush takes the others' names along
        disk.flush_file(private / name)
    for folder in {private, *((private / name).parent for name in files)}:
        disk.flush_folder(folder)


def _link(target: Path, right: Path | None) -> bool:
    """Makes a link to a file that is right already; False where there is none, or no link to it."""
    disk.make_folder(target.parent)
    if right is not None:
        with suppress(OSError):  # the file system has no links, or it is another user's file
            target.hardlink_to(right)
            return True
    return False


def _copy(state: State, digest: str, target: Path) -> None:
    """Copies a stored file, which is not on the disk yet then."""
    source = state.store.path(digest)
    with target.open("xb") as stream, suppress(FileNotFoundError), source.open("rb") as blob:
        while block := blob.read(_BLOCK):
            stream.write(block)
    if canonical.sha256_of_file(target) != digest:
        state.store.set_aside(digest)
        raise ModelbuildError(
            f"the stored bytes of {target.name} are damaged or gone",
            why=f"{source} is not what was stored",
            advice="build again: what made them will run again",
            exit_code=EXIT_FAILED,
        )


def _remove(folder: Path) -> None:
    """Removes a folder under another name, so that it is never there by half. Raises OSError."""
    if disk.is_folder(folder):
        old = _beside(folder, "old")
        _delete(old)
        folder.replace(old)
        _delete(old)


def _clear(folder: Path) -> None:
    """Removes what a build that was killed left beside the folder. Raises OSError."""
    for half_done in ("new", "old"):
        _delete(_beside(folder, half_done))


def _delete(folder: Path) -> None:
    if disk.is_folder(folder):
        disk.remove(folder)


def _beside(destination: Path, what: str) -> Path:
    return destination.with_name(f".{destination.name}.{what}")
