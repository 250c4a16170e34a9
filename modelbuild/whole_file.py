"""Files that people asked for by name: complete or untouched."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from modelbuild.errors import ModelbuildError


def write(path: Path, data: bytes) -> None:
    """The whole file or none of it. Raises ModelbuildError where the folder or the disk refuses."""
    try:
        with replacing(path) as private:
            private.write_bytes(data)
    except OSError as error:
        raise ModelbuildError(
            f"cannot write {path.name}", where=str(path.parent), why=error.strerror or str(error)
        ) from None


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A place for a file, which takes that of `path` at once when the block ends well, and is removed when it
    does not. Raises OSError."""
    private = beside(path)
    try:
        yield private
        private.replace(path)
    finally:
        with suppress(OSError):  # what could not be written need not be removed
            private.unlink(missing_ok=True)


def beside(path: Path) -> Path:
    """A name in the same folder that no other process takes."""
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")
