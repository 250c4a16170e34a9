"""Which files a sample set names: globs and lists, in an order that no locale changes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from glob import has_magic
from pathlib import Path

from modelbuild import globs
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
    Hidden files are found by name only. A pattern without a file, a file named twice, and a link that leads
    nowhere are errors."""
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
    if _is_sample(literal):
        return [_normal(literal)]
    if literal.is_dir():
        inside = [
            path
            for path in literal.iterdir()
            if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and _is_sample(path)
        ]
        return [_normal(path) for path in inside] or _nothing(
            pattern, "the folder holds no picture, .npy or .npz"
        )
    found = globs.matches(pattern, str(base)) if has_magic(pattern) else []
    matched = [_normal(base / name) for name in found if _is_sample(base / name)]
    return matched or _nothing(pattern, _why(literal, base))


def _is_sample(path: Path) -> bool:
    """Whether it is a file. A link to what is not there is an error: one sample fewer would go unseen."""
    if path.is_symlink() and not path.exists():
        raise ModelbuildError(
            f"the sample {path.name} is a link that leads nowhere",
            where=str(path),
            why=f"it points to {os.readlink(path)}",  # noqa: PTH115 - as it is written
            advice="fetch the file that it stands for (`git annex get`, `dvc pull`), or remove the link",
        )
    return path.is_file()


def _normal(path: Path) -> Path:
    return Path(os.path.normpath(path))


def _why(literal: Path, base: Path) -> str:
    """What of a path or pattern is missing: the first part of it that is not there, if that is no pattern."""
    there = next(parent for parent in literal.parents if parent.is_dir())
    missing = there / literal.parts[len(there.parts)]
    if missing.exists():
        return f"{_seen_from(base, missing)} is no folder"
    if not has_magic(missing.name):
        return f"there is no {_seen_from(base, missing)}"
    return "the manifest's folder has none" if there == base else f"looked in {_seen_from(base, there)}"


def _seen_from(base: Path, path: Path) -> Path:
    return path.relative_to(base) if path.is_relative_to(base) else path


def _nothing(pattern: str, why: str) -> list[Path]:
    raise ModelbuildError(
        "no sample file matches", where=pattern, why=why, advice="correct the path or the glob"
    )
