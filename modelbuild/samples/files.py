"""Which files a sample set names: globs and lists, in an order that no locale changes."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from pathlib import Path

from modelbuild.errors import ModelbuildError
from modelbuild.samples import images

TENSOR_SUFFIXES = frozenset({".npy", ".npz"})
SUFFIXES = images.SUFFIXES | TENSOR_SUFFIXES


def sort_key(path: Path) -> bytes:
    """Orders by the bytes of the posix path."""
    return os.fsencode(path.as_posix())


def gather_files(pattern: str | Path | Sequence[str | Path], base: Path) -> tuple[Path, ...]:
    """The files that a glob (`**` goes down folders), a path, or a list of those names, sorted.

    A folder stands for the pictures, .npy and .npz files directly in it. Relative patterns start at `base`.
    A pattern without a file, and a file named twice, are errors."""
    patterns = [pattern] if isinstance(pattern, str | Path) else list(pattern)
    if not patterns:
        raise ModelbuildError("the list of sample files is empty", advice="name at least one file or glob")
    found: dict[Path, str] = {}
    for one in map(str, patterns):
        for path in _match(one, base):
            if path in found:
                raise ModelbuildError(
                    f"the sample {path.name} is named twice",
                    where=str(path),
                    why=f"by `{found[path]}` and by `{one}`",
                    advice="a sample that counts twice needs a copy under another name",
                )
            found[path] = one
    return tuple(sorted(found, key=sort_key))


def _match(pattern: str, base: Path) -> list[Path]:
    literal = base / pattern
    if literal.is_file():
        return [_normal(literal)]
    if literal.is_dir():
        inside = [path for path in literal.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file()]
        return [_normal(path) for path in inside] or _nothing(
            pattern, "the folder holds no picture, .npy or .npz"
        )
    # not Path.glob: that one also finds hidden files, and in 3.11 and 3.13 follows links differently
    found = glob.glob(pattern, root_dir=base, recursive=True) if glob.has_magic(pattern) else []  # noqa: PTH207
    matched = [_normal(base / name) for name in found if (base / name).is_file()]
    return matched or _nothing(pattern, f"looked in {_deepest(literal)}")


def _normal(path: Path) -> Path:
    return Path(os.path.normpath(path))


def _deepest(path: Path) -> Path:
    """The nearest folder above `path` that exists."""
    return next(parent for parent in path.parents if parent.is_dir())


def _nothing(pattern: str, why: str) -> list[Path]:
    raise ModelbuildError(
        "no sample file matches", where=pattern, why=why, advice="correct the path or the glob"
    )
