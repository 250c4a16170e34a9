"""Any file of a kind that modelbuild knows -> the documented object of `modelbuild inspect --json`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from modelbuild.artifacts import unread
from modelbuild.artifacts.inspectors import (
    archive,
    bie,
    elf,
    fixed_onnx,
    imported,
    kmodel,
    mpk,
    nef,
    onnx,
    sealed,
    sima,
    tflite,
)
from modelbuild.artifacts.inspectors.nodes import listed
from modelbuild.artifacts.kinds import Kind, check_name, identify
from modelbuild.errors import ModelbuildError

_READERS: dict[Kind, Callable[[Path], dict[str, Any]]] = {
    Kind.ONNX: onnx.describe,
    Kind.FIXED_ONNX: fixed_onnx.describe,
    Kind.NEF: nef.describe,
    Kind.MPK: mpk.describe,
    Kind.KMODEL: kmodel.describe,
    Kind.TFLITE: tflite.describe,
    Kind.ELF: elf.describe,
    Kind.TAR_GZ: archive.describe_tar,
    Kind.TAR: archive.describe_tar,
    Kind.ZIP: archive.describe_zip,
    Kind.SIMA: sima.describe,
    Kind.BIE: bie.describe,
    Kind.SEALED: sealed.describe,
}


# Kinds that are opened by importing them: they may keep their weights in a file of their own.
_IMPORTED = (Kind.KERAS, Kind.HDF5, Kind.PROTOTXT)


def inspect(
    path: Path, weights: Path | None = None, *, nodes: bool = False, disassemble: bool = False
) -> dict[str, Any]:
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
        described = (
            kmodel.describe(path, disassemble=True) if disassemble else _described(path, kind, weights)
        )
        if nodes:
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


def _described(path: Path, kind: Kind, weights: Path | None) -> dict[str, Any]:
    if kind not in _IMPORTED:
        return _READERS[kind](path)
    check_name(path, kind)
    return imported.describe(path, weights)
