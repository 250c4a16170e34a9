"""Git LFS pointers: the small text files that stand where the real file was not fetched."""

from __future__ import annotations

from pathlib import Path

from modelbuild.errors import ModelbuildError

POINTER_START = b"version https://git-lfs"  # git-lfs, docs/spec.md
LARGEST_POINTER = 1024  # bytes; the same page: pointers are smaller
WHAT = "a Git LFS pointer, not the file itself"
ADVICE = "fetch the file: `git lfs pull`"


def is_pointer(path: Path) -> bool:
    """Whether the file is a pointer; an unreadable file is not, nor is what is no regular file: opening a
    FIFO would wait for its writer."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as stream:
            return stream.read(len(POINTER_START)) == POINTER_START
    except OSError:
        return False


def pointer_error(path: Path) -> ModelbuildError:
    """What to tell a user who has the pointer instead of the file."""
    return ModelbuildError(WHAT, where=str(path), advice=ADVICE)
