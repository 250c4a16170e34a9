"""Where `--events`, `--trace` and `-o` may write: nowhere that builds read or keep."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from pathlib import Path

from modelbuild.errors import ModelbuildError
from modelbuild.output_file import PRODUCTS, STATE

_FOLDERS = (errno.EISDIR, errno.ENOTDIR)


def checked(root: Path, manifest: str, files: Mapping[str, str]) -> dict[str, Path | None]:
    """Option -> path, relative ones from `root`; None is standard output, which is written `-`.

    Raises ModelbuildError (exit 2) for a place that a build cannot share, and for two options with one."""
    found: dict[str, Path | None] = {}
    taken: dict[str, str] = {}
    for option, text in files.items():
        path = None if text == "-" else root / text
        real = "-" if path is None else os.path.realpath(path)
        if real in taken and not text.startswith("/dev/"):
            raise ModelbuildError(
                f"{option} and {taken[real]} name one file", where=text, advice="name two different files"
            )
        taken[real] = option
        if path is not None:
            _check(option, text, real, Path(os.path.realpath(root)), manifest)
            _check_content(option, text, path)
        found[option] = path
    return found


def _check(option: str, text: str, real: str, root: Path, manifest: str) -> None:
    if real == os.path.realpath(root / manifest):
        raise ModelbuildError(f"{option} would overwrite the manifest", where=text, advice=_elsewhere(option))
    if not Path(real).is_relative_to(root):
        return
    parts = Path(real).relative_to(root).parts
    if parts[:1] == (STATE,) or (len(parts) > 2 and parts[0] in PRODUCTS):
        folder = "/".join(parts[:1] if parts[0] == STATE else parts[:2])
        raise ModelbuildError(
            f"{option} cannot write into {folder}",
            where=text,
            why="the build makes that folder hold exactly what belongs there",
            advice=_elsewhere(option),
        )


def _check_content(option: str, text: str, path: Path) -> None:
    """Refuses to write over what no build has written: a slip of the finger must cost nobody a model."""
    if option not in BEGINNINGS:  # who writes it judges what lies there
        return
    try:
        if not path.is_file():
            return
        with path.open("rb") as stream:
            head = stream.read(max(map(len, BEGINNINGS[option])))
    except OSError as error:
        raise refused(option, text, error) from None
    if head and not head.startswith(BEGINNINGS[option]):
        raise ModelbuildError(
            f"{option} would overwrite a file that no {_WRITERS.get(option, 'build')} has written",
            where=text,
            why=f"it does not begin with {' or '.join(map(_shown, BEGINNINGS[option]))}",
            advice="name another file, or remove that one",
        )


BEGINNINGS: Mapping[str, tuple[bytes, ...]] = {
    "--events": (b'{"event"',),
    "--trace": (b'{"traceEvents"',),
    "graph -o": (b"flowchart LR\n", b"digraph modelbuild {", b'{\n  "edges"'),
}
_WRITERS = {"graph -o": "graph"}
_EXAMPLES = {"graph -o": "plan.mmd", "pack -o": "m.nef", "convert -o": "clean.onnx"}


def _elsewhere(option: str) -> str:
    example = _EXAMPLES.get(option, "build.jsonl")
    return f"name a file elsewhere, such as {example} or dist/{example}"


def _shown(beginning: bytes) -> str:
    return " ".join(beginning.decode().split())


def refused(option: str, name: str, error: OSError) -> ModelbuildError:
    """A file that cannot be written, told before any work (exit 2)."""
    return ModelbuildError(
        f"{option} cannot be written",
        where=name,
        why=what_the_system_says(error),
        advice="name a file in a folder that is there and that you may write to",
    )


def what_the_system_says(error: OSError) -> str:
    """The system's words for an error."""
    if error.errno in _FOLDERS:
        return "a folder lies there" if error.errno == errno.EISDIR else "a part of the path is no folder"
    return error.strerror or str(error)
