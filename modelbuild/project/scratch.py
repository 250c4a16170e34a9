"""A folder for one run, removed at its end; what runs that were killed have left is removed by the next."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from modelbuild.build import disk, lock
from modelbuild.errors import ModelbuildError

_HELD = "held"  # locked as long as the run lives


@contextmanager
def scratch(prefix: str) -> Iterator[Path]:
    """A new folder among the system's temporary ones. Raises as `lock.held`, and OSError."""
    _sweep(Path(tempfile.gettempdir()), prefix)
    with tempfile.TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True) as name:
        folder = Path(name)
        ours = folder / f"{_HELD}.new"
        with lock.held(ours, lambda: None):
            ours.replace(folder / _HELD)  # it is never there without its lock, as long as we live
            inside = folder / "state"
            inside.mkdir()
            yield inside


def _sweep(parent: Path, prefix: str) -> None:
    """Removes folders of this user's whose runs are no more."""
    for folder in parent.glob(f"{prefix}*"):
        with suppress(OSError, ModelbuildError):  # another sweep was quicker; what cannot be removed stays
            found = folder.lstat()
            if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
                continue
            if (folder / _HELD).is_file():
                with lock.tried(folder / _HELD) as is_left:
                    if is_left:
                        disk.remove_tree(folder)
