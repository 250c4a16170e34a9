"""Where `convert` writes: nowhere that somebody's model would be lost, and both parts of it or none."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import onnx
from google.protobuf.message import DecodeError

from modelbuild import output_file
from modelbuild.build.interrupts import Shielded
from modelbuild.errors import EXIT_FAILED, ModelbuildError
from modelbuild.graph import onnx_io
from modelbuild.graph.after_chip import OUTPUTS
from modelbuild.graph.edits.tail import POST
from modelbuild.graph.model import Graph
from modelbuild.manifest.model import FIXED_SUFFIX
from modelbuild.project.conversion import Written
from modelbuild.whole_file import beside

# How every ONNX file of modelbuild's begins: IR version 10, producer_name "modelbuild".
OURS = b"\x08\x0a\x12\x0amodelbuild"


def post_of(out: Path) -> Path:
    """Where the part that runs after the chip goes."""
    return out.with_name(f"{out.stem}{POST}{out.suffix}")


def check_name(out: Path) -> None:
    """Refuses a name that promises something else than what is written."""
    if out.suffix.lower() != ".onnx" or out.name.lower().endswith(FIXED_SUFFIX):
        raise ModelbuildError(
            f"-o {out.name} is no name for what is written",
            why="a float model, as ONNX",
            advice=f"write -o {out.name.split('.')[0] or 'model'}.onnx",
        )


def check_place(out: Path, inputs: Sequence[Path | None], force: bool) -> None:
    """Refuses to write over what is read, or over what may be the only copy of somebody's model."""
    if output_file.check(out):
        raise ModelbuildError(
            f"-o {out.name} is no regular file",
            where=str(out),
            why="a model may have further files beside it",
            advice="name a file",
        )
    for read in inputs:
        if read is not None and read.exists() and out.exists() and read.samefile(out):
            raise ModelbuildError(
                f"-o {out.name} is the file that is read",
                where=str(out),
                why="the source would be lost",
                advice=f"name another file: -o {out.stem}.converted.onnx",
            )
    if not force and out.exists() and not _is_ours(out):
        raise ModelbuildError(
            f"-o would overwrite a file that modelbuild has not written: {out.name}",
            where=str(out),
            advice="name another file, or add --force to replace it",
        )


def _is_ours(path: Path) -> bool:
    """Whether modelbuild wrote the file; an empty one is nobody's."""
    try:
        with path.open("rb") as stream:
            head = stream.read(len(OURS))
    except OSError as error:
        raise ModelbuildError(
            f"-o {path.name} cannot be read", where=str(path), why=error.strerror or str(error)
        ) from None
    return head in (b"", OURS)


def left_behind(out: Path) -> Path | None:
    """The part after the chip of an earlier conversion to `out`: beside a model without one it would be run
    on tensors that are not its own. None where nothing lies there, or something else than such a part."""
    path = post_of(out)
    if not path.is_file() or not _is_ours(path):
        return None
    try:
        model = onnx.load(str(path), load_external_data=False)
    except (DecodeError, OSError):
        return None
    return path if any(entry.key == OUTPUTS for entry in model.metadata_props) else None


def write(parts: Sequence[tuple[Path, Graph]], stale: Path | None) -> list[Written]:
    """All of `parts`, which lie in one folder, and `stale` removed: or nothing of it, and a ModelbuildError
    (exit 1). Weights beyond 2 GB lie in a file beside their model."""
    out = parts[0][0]
    made: dict[Path, list[Path]] = {}
    try:
        with _folder(out) as (new, old):
            for path, graph in parts:
                made[path] = [out.with_name(file.name) for file in onnx_io.export(graph, new / path.name)]
            # the model last: who looks at it by then finds the part that belongs to it
            files = [file for path, _ in reversed(parts) for file in reversed(made[path])]
            _replace(files, new, old, stale)
    except _Stranded:
        raise
    except (OSError, ModelbuildError) as error:
        said = error.problems[0].why if isinstance(error, ModelbuildError) else error.strerror
        raise ModelbuildError(
            f"cannot write {out.name}",
            where=str(out.parent),
            why=said or str(error),
            advice="make room on that disk, or write into a folder that you may write to",
            exit_code=EXIT_FAILED,
        ) from None
    return [_written(path, graph, made[path]) for path, graph in parts]


@contextmanager
def _folder(out: Path) -> Iterator[tuple[Path, Path]]:
    """Two folders on the disk of `out`, gone afterwards: for what is new, and for what it replaces. They stay
    while there is anything of the latter that is not back in its place."""
    private = beside(out)
    new, old = private / "new", private / "old"
    try:
        for folder in (private, new, old):
            folder.mkdir()
        yield new, old
    finally:
        with suppress(OSError):
            if not _names(old):
                shutil.rmtree(private)


def _replace(files: Sequence[Path], new: Path, old: Path, stale: Path | None) -> None:
    """Moves `files` out of `new` to their places and `stale` away, and all of it back where one cannot be."""
    with Shielded():
        cleared: list[Path] = []  # places where nothing lies but what is put there now
        try:
            for file in [*files, *([] if stale is None else [stale])]:
                if file.exists() or file.is_symlink():
                    file.replace(old / file.name)
                cleared.append(file)
                if file != stale:
                    (new / file.name).replace(file)
        except BaseException as error:
            if left := _put_back(cleared, old, files[0].parent):
                raise _Stranded(
                    f"{', '.join(left)} could not be put back after the conversion failed",
                    where=str(old),
                    why=str(getattr(error, "strerror", None) or error or type(error).__name__),
                    advice=f"move it from there to {files[0].parent} by hand",
                    exit_code=EXIT_FAILED,
                ) from error
            raise
        for name in _names(old):
            (old / name).unlink()


class _Stranded(ModelbuildError):
    """Files of the user's lie elsewhere now."""


def _put_back(cleared: Sequence[Path], old: Path, folder: Path) -> list[str]:
    """Undoes as much as the disk lets it; the names in `old` that could not be."""
    before = _names(old)
    for file in cleared:
        if file.name not in before:
            with suppress(OSError):
                file.unlink(missing_ok=True)
    for name in before:
        with suppress(OSError):
            (old / name).replace(folder / name)
    return _names(old)


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def _written(path: Path, graph: Graph, files: Sequence[Path]) -> Written:
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    inputs, outputs = (tuple(_port(graph, name) for name in names) for names in (graph.inputs, graph.outputs))
    size = sum(file.stat().st_size for file in files)
    return Written(path, size, digest, inputs, outputs, tuple(files[1:]))


def _port(graph: Graph, name: str) -> dict[str, Any]:
    return {"name": name, "shape": list(graph.shapes[name]), "dtype": str(graph.dtypes[name])}
