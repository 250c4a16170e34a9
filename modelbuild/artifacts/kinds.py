"""What a file is, by its content; names decide nothing, except that an encrypted .bie has nothing else."""

from __future__ import annotations

import mmap
import re
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path

from modelbuild import lfs
from modelbuild.artifacts.archived import ZIP_MAGICS, is_description, is_keras, is_sima, tar_names, zip_names
from modelbuild.artifacts.protobuf import TopLevel, scan
from modelbuild.errors import ModelbuildError
from modelbuild.formats import elf, kmodel, nef_header, sealed, tar
from modelbuild.importers import IMPORTERS

ARITHMETIC_KEY = b"modelbuild.arithmetic"
_MAX_KMODEL_V3 = 64 << 20
_MAX_TEXT = 64 << 20
# Nothing is tried twice: a long run of blanks must not take the square of its length.
_LAYER = re.compile(rb"^[ \t\r\f\v]*+layers?\s*+:?\s*+\{", re.MULTILINE)
ONNX_FIELDS = {
    1: 0,
    2: 2,
    3: 2,
    4: 2,
    5: 0,
    6: 2,
    7: 2,
    8: 2,
    14: 2,
    20: 2,
    25: 2,
    26: 2,
}  # field: wire type


class Kind(StrEnum):
    """The kinds that modelbuild can tell apart."""

    ONNX = "onnx"
    FIXED_ONNX = "fixed_onnx"
    NEF = "nef"
    MPK = "mpk"
    SEALED = "sealed"
    KMODEL = "kmodel"
    TFLITE = "tflite"
    KERAS = "keras"
    PROTOTXT = "prototxt"
    HDF5 = "hdf5"
    ELF = "elf"
    SIMA = "sima"
    BIE = "bie"
    LFS_POINTER = "lfs_pointer"
    TAR_GZ = "tar_gz"
    TAR = "tar"
    GZIP = "gzip"
    ZIP = "zip"
    EMPTY = "empty"
    UNKNOWN = "unknown"


def identify(path: Path) -> Kind:
    """What the file is. Errors: ModelbuildError where there is no readable file."""
    try:
        if not path.is_file():
            raise ModelbuildError(
                f"{path.name or path} is {_no_file(path)}", where=str(path), advice="name a file"
            )
        with path.open("rb") as file:
            head = file.read(512)
            if not head:
                return Kind.EMPTY
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                found = _by_content(path, head, content)
    except OSError as error:
        raise ModelbuildError(
            f"{path.name} cannot be read",
            where=str(path),
            why=error.strerror or str(error),
            advice="name a file that you may read",
        ) from None
    return Kind.BIE if found is Kind.UNKNOWN and path.suffix == ".bie" else found


def _no_file(path: Path) -> str:
    if path.exists():
        return "a folder" if path.is_dir() else "not a regular file"
    return f"a link to {path.readlink()}, which is not there" if path.is_symlink() else "not there"


_PACKAGES = {".nef": "NEF", ".kmodel": "kmodel", ".tar.gz": "MPK", ".onnx": "ONNX", ".tflite": "TFLite"}


def damage(path: Path) -> str:
    """What a file of the kind UNKNOWN seems to be by its name; nothing where that tells nothing."""
    name = path.name.lower()
    form = next((form for suffix, form in _PACKAGES.items() if name.endswith(suffix)), "")
    return f"is no {form} file, or only a part of one" if form else ""


# Source formats are imported by their suffix: the usual one of each.
SOURCES = {
    Kind.ONNX: ".onnx",
    Kind.TFLITE: ".tflite",
    Kind.KERAS: ".keras",
    Kind.HDF5: ".h5",
    Kind.PROTOTXT: ".prototxt",
}


def check_name(path: Path, kind: Kind) -> None:
    """That a model file of a source format bears a suffix of it. Raises naming the usual one."""
    named, usual = IMPORTERS.get(path.suffix.lower()), IMPORTERS[SOURCES[kind]]
    if named is None or named.format != usual.format:
        raise ModelbuildError(
            f"{path.name} holds a model in {kind}, but its name does not say so",
            where=str(path),
            advice=f"name it {path.stem}{SOURCES[kind]}",
        )


def _by_content(path: Path, head: bytes, content: mmap.mmap) -> Kind:
    for offset, magic, kind in _MAGIC:
        if head[offset : offset + len(magic)] == magic:
            return kind(path) if callable(kind) else kind
    if tar.is_tar(head):
        return _archive_kind(path, Kind.TAR, Kind.TAR)
    if _is_onnx(scan(content)):
        return Kind.FIXED_ONNX if content.rfind(ARITHMETIC_KEY) >= 0 and _is_fixed(content) else Kind.ONNX
    if _is_kmodel_v3(content):
        return Kind.KMODEL
    if nef_header.is_nef(content):
        return Kind.NEF
    return Kind.PROTOTXT if _is_prototxt(content) else Kind.UNKNOWN


def _is_onnx(found: TopLevel) -> bool:
    """A ModelProto: every field at the top known and of its type, with a graph; it may be cut off."""
    if not found.fields or any(ONNX_FIELDS.get(number) != wire for number, wire in found.fields):
        return False
    numbers = {number for number, _ in found.fields}
    return 7 in numbers or (1 in numbers and len(numbers) > 1)


def _is_fixed(content: mmap.mmap) -> bool:
    """Whether a metadata property at the top has the key of modelbuild's arithmetic."""
    pairs = (content[start : start + min(size, 64)] for start, size in scan(content).places.get(14, ()))
    return any(b"\x0a" + bytes((len(ARITHMETIC_KEY),)) + ARITHMETIC_KEY in pair for pair in pairs)


def _is_prototxt(content: mmap.mmap) -> bool:
    """A Caffe network: text in which a layer is opened."""
    return len(content) <= _MAX_TEXT and b"\0" not in content[:512] and _LAYER.search(content) is not None


def _is_kmodel_v3(content: mmap.mmap) -> bool:
    if content[:4] != b"\x03\0\0\0" or len(content) > _MAX_KMODEL_V3:
        return False
    return kmodel.is_kmodel(content[:])


def _gzip_kind(path: Path) -> Kind:
    """A .tar.gz, or something else in a gzip."""
    return _archive_kind(path, Kind.GZIP, Kind.TAR_GZ)


def _archive_kind(path: Path, found: Kind, archive: Kind) -> Kind:
    """An MPK is a tar with an *mpk.json, and an `archive` one without; `found` is none at all."""
    try:
        for name in tar_names(path):
            found = archive
            if is_description(name):
                return Kind.MPK
    except ModelbuildError:
        # The name of a broken archive is all there is to tell what it was; its reader says what is wrong.
        return Kind.MPK if path.name.endswith(("_mpk.tar.gz", "_mpk.sim.tar.gz")) else found
    return found


def _zip_kind(path: Path) -> Kind:
    """A .sima is a ZIP of a .yaml and .npz arrays; a .keras one of config.json and weights."""
    names = zip_names(path)
    if names is None:
        return Kind.SIMA if path.name.endswith(".sima") else Kind.ZIP
    return Kind.KERAS if is_keras(names) else Kind.SIMA if is_sima(names) else Kind.ZIP


_MAGIC: tuple[tuple[int, bytes, Kind | Callable[[Path], Kind]], ...] = (
    (0, lfs.POINTER_START, Kind.LFS_POINTER),
    (0, kmodel.MAGIC, Kind.KMODEL),
    (0, elf.MAGIC, Kind.ELF),
    (0, sealed.MAGIC, Kind.SEALED),
    (4, b"TFL3", Kind.TFLITE),
    (0, b"\x89HDF\r\n\x1a\n", Kind.HDF5),
    (0, b"\x1f\x8b", _gzip_kind),
    *((0, magic, _zip_kind) for magic in ZIP_MAGICS),
)
