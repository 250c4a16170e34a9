"""NEF files that people name, as they are read; what is none is told by what it is."""

from __future__ import annotations

from pathlib import Path

from modelbuild import input_file, lfs
from modelbuild.artifacts.kinds import Kind, identify
from modelbuild.errors import ModelbuildError
from modelbuild.formats import nef, sealed
from modelbuild.formats.nef_objects import Nef

_IS: dict[Kind, str] = {
    Kind.ONNX: "an ONNX model",
    Kind.FIXED_ONNX: "a fixed-point model of modelbuild's",
    Kind.MPK: "an MPK",
    Kind.KMODEL: "a kmodel",
    Kind.TFLITE: "a TFLite model",
    Kind.KERAS: "a Keras model",
    Kind.PROTOTXT: "a Caffe model",
    Kind.ELF: "an ELF file",
    Kind.SIMA: "a .sima model",
    Kind.BIE: "a .bie model",
    Kind.LFS_POINTER: lfs.WHAT,
    Kind.TAR_GZ: "a tar.gz archive",
    Kind.GZIP: "a gzip file",
    Kind.EMPTY: "empty",
}
_AGAIN = "name a NEF, or copy or download this one again"


def read(path: Path, shown: str = "") -> Nef:
    """The NEF at `path`, which errors call `shown` ("old/a.nef"), or by its path.

    Errors: ModelbuildError for what is no regular file, for other kinds of file, and for damaged ones with
    the offset; each names the file. Checksums are not judged."""
    where = shown or str(path)
    with input_file.naming(where, str(path)):
        kind = identify(path)
        if kind is Kind.SEALED:
            raise _is_sealed(path, where)
        if kind is not Kind.NEF and not (kind is Kind.UNKNOWN and _may_be(path)):
            what = f"is {_IS.get(kind, f'a file of the kind {kind}')}, no NEF"
            raise ModelbuildError(
                f"{path.name} {'is no NEF' if kind is Kind.UNKNOWN else what}",
                advice=lfs.ADVICE
                if kind is Kind.LFS_POINTER
                else f"{_AGAIN}; `modelbuild inspect` shows what a file is",
            )
        return nef.read(input_file.read(path))


def _is_sealed(path: Path, where: str) -> ModelbuildError:
    with input_file.opened(path) as file:
        begins = file.read(sealed.HEADER_BYTES)
    mode = begins[sealed.MODE_AT : sealed.MODE_AT + 1]
    of = f" in mode {mode[0]}" if mode else ""
    return ModelbuildError(
        f"{path.name} is encrypted",
        why=f"it is a package that modelbuild encrypted{of}",
        advice=f"open it with its keys first: modelbuild nef decrypt {where} -o OUT.nef",
    )


def _may_be(path: Path) -> bool:
    """Whether a file that is no whole NEF may have been one: its root table would lie inside the file, or in
    what was cut off, as its name says."""
    with input_file.opened(path) as file:
        root = int.from_bytes(file.read(4), "little")
    return 4 <= root < path.stat().st_size and path.name.endswith(".nef")
