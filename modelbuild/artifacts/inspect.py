"""Any file of a kind that modelbuild knows -> the documented object of `modelbuild inspect --json`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from modelbuild.artifacts import unread
from modelbuild.artifacts.kinds import Kind, check_name, identify
from modelbuild.errors import ModelbuildError

Described = dict[str, Any]


def _by(name: str, function: str = "describe") -> Callable[..., Described]:
    """A reader of `inspectors`. Its module, and what it stands on, is imported when a file of its kind comes:
    who looks at a package does not wait for the frameworks of models."""

    def describe(*arguments: Any, **options: Any) -> Described:
        found: Described = getattr(import_module(f"modelbuild.artifacts.inspectors.{name}"), function)(
            *arguments, **options
        )
        return found

    return describe


_READERS: Mapping[Kind, Callable[..., Described]] = {
    Kind.ONNX: _by("onnx"),
    Kind.FIXED_ONNX: _by("fixed_onnx"),
    Kind.NEF: _by("nef"),
    Kind.MPK: _by("mpk"),
    Kind.KMODEL: _by("kmodel"),
    Kind.TFLITE: _by("tflite"),
    Kind.ELF: _by("elf"),
    Kind.TAR_GZ: _by("archive", "describe_tar"),
    Kind.TAR: _by("archive", "describe_tar"),
    Kind.ZIP: _by("archive", "describe_zip"),
    Kind.SIMA: _by("sima"),
    Kind.BIE: _by("bie"),
    Kind.SEALED: _by("sealed"),
}
_IMPORTED_BY = _by("imported")


# Kinds that are opened by importing them: they may keep their weights in a file of their own.
_IMPORTED = (Kind.KERAS, Kind.HDF5, Kind.PROTOTXT)


def inspect(
    path: Path, weights: Path | None = None, *, nodes: bool = False, disassemble: bool = False
) -> Described:
    """What the file is and holds; with `nodes`, the model's nodes as `node_list` (`inspectors.nodes`), with
    `disassemble`, a kmodel's code as `disassembly` (`inspectors.kmodel_code`).

    Always there: format, version, size (bytes), silicon (false for modelbuild's own programs, true for a
    vendor's, null where the question makes no sense), checksums and models; each kind adds its own keys.
    Errors: ModelbuildError (exit code 2), its `where` naming the file, for what cannot be read.
    """
    kind = identify(path)
    if weights is not None and kind not in _IMPORTED:
        raise ModelbuildError(
            "this file has its weights inside", where=str(path), advice="leave --weights out"
        )
    if disassemble and kind is not Kind.KMODEL:
        raise ModelbuildError(
            "only a kmodel can be disassembled", where=str(path), advice="leave --disassemble out"
        )
    if unread.is_closed(kind):
        raise unread.refused(path, kind)
    try:
        described = _READERS[kind](path, disassemble=True) if disassemble else _described(path, kind, weights)
        if nodes:
            from modelbuild.artifacts.inspectors.nodes import listed  # loads onnx

            described["models"][0]["node_list"] = listed(path, kind, weights)
    except ModelbuildError as error:
        first = error.problems[0]
        if first.where.startswith(str(path)):
            raise
        place = f"{path}: {first.where}" if first.where else str(path)
        raise ModelbuildError(
            first.what, where=place, why=first.why, advice=first.advice, exit_code=error.exit_code
        ) from None
    return {"format": str(kind), "size": path.stat().st_size, **described}


def _described(path: Path, kind: Kind, weights: Path | None) -> Described:
    if kind not in _IMPORTED:
        return _READERS[kind](path)
    check_name(path, kind)
    return _IMPORTED_BY(path, weights)
