"""`tools/post.py:decode`: how a function of the user's is named, and which files it is made of."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from pathlib import Path

from modelbuild.errors import ModelbuildError

TIMEOUT_SECONDS = 600.0  # of one call, by the clock: a good function gets there on a loaded machine, too
_MOST = 1000  # files: more than a function for a gate is made of


def parted(spec: str) -> tuple[str, str]:
    """`FILE.py:FUNCTION` as file and function. Raises (exit 2) for anything else."""
    file, colon, name = spec.rpartition(":")
    if not colon or not file.endswith(".py") or not name.isidentifier():
        raise ModelbuildError(
            f"`{spec}` does not name a function in a file",
            advice="write FILE.py:FUNCTION, for instance tools/post.py:decode",
        )
    return file, name


def top_folder(file: Path, root: Path) -> Path:
    """The folder that the file's module is imported from: its own, or that of the outermost package."""
    folder = file.parent
    while (folder / "__init__.py").is_file() and folder not in (root, folder.parent):
        folder = folder.parent
    return folder


def files_of(spec: str, root: Path) -> tuple[str, ...]:
    """The function's file and the files of the project that it imports, and they in turn, relative to `root`;
    found by reading them, not by running them. What an import cannot be seen to name, or what the function
    opens, is not among them. A file that is not there or is no Python stands alone: to run it says why."""
    file = Path(os.path.normpath(root / parted(spec)[0]))
    places = list(dict.fromkeys([top_folder(file, root), root]))
    found: dict[Path, None] = {}
    left = [file]
    while left and len(found) < _MOST:
        one = left.pop()
        if one not in found:
            found[one] = None
            left += [*_packages(one, places), *_imported(one, places)]
    return tuple(sorted(Path(os.path.relpath(one, root)).as_posix() for one in found))


def _packages(file: Path, places: list[Path]) -> Iterator[Path]:
    """The `__init__.py` that are run before the file."""
    for folder in file.parents:
        if folder in places or not (folder / "__init__.py").is_file():
            return
        yield folder / "__init__.py"


def _imported(file: Path, places: list[Path]) -> Iterator[Path]:
    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _modules(places, alias.name.split("."))
        elif isinstance(node, ast.ImportFrom):
            bases = [file.parents[node.level - 1]] if 0 < node.level <= len(file.parents) else places
            words = node.module.split(".") if node.module else []
            yield from _modules(bases, words)
            for alias in node.names:
                yield from _modules(bases, [*words, alias.name])


def _modules(places: list[Path], words: list[str]) -> Iterator[Path]:
    """The file of a module or package, where the project has one, and those of the packages around it."""
    for count in range(1, len(words) + 1):
        for place in places:
            path = place.joinpath(*words[:count])
            for file in (path / "__init__.py", path.with_name(f"{path.name}.py")):
                if file.is_file():
                    yield file
