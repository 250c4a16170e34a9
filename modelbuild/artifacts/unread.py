"""Files that `inspect` does not take: what each seems to be, why it is none, and what to do with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from modelbuild import input_file, lfs
from modelbuild.artifacts.kinds import ONNX_FIELDS, Kind, damage
from modelbuild.artifacts.protobuf import walk
from modelbuild.errors import ModelbuildError
from modelbuild.formats import kmodel, nef, tar

# What each kind that can only be recognised is, and what to do with it.
_CLOSED: Mapping[Kind, tuple[str, str]] = {
    Kind.EMPTY: ("is empty", "copy or download it again"),
    Kind.LFS_POINTER: (f"is {lfs.WHAT}", lfs.ADVICE),
    Kind.GZIP: ("is a gzip file, but no complete tar archive", "copy or download it again"),
    Kind.UNKNOWN: (
        "is no kind of file that modelbuild knows",
        "known are ONNX, TFLite, Keras, Caffe, NEF, MPK (.tar.gz), kmodel, encrypted packages, ELF, .sima, "
        ".bie, tar and ZIP; the file may be damaged",
    ),
}
_AGAIN = "copy or download it again"
_PROTOTXT = "inspect the .prototxt, with `--weights` naming this file"
_TEXT = "open it with an editor"
# Files that belong to something else, by the end of their names
_BESIDE: tuple[tuple[str, str, str], ...] = (
    (".caffemodel", "holds the weights of a Caffe network", _PROTOTXT),
    (".binaryproto", "holds an array of Caffe's, as a mean picture", "convert it to .npy"),
    (".quant.txt", "is a quantization record of modelbuild, and text", _TEXT),
    (".json", "is JSON, which belongs beside a model", _TEXT),
)
_MOST_READ = 1 << 28  # bytes of a file that a reader is asked about
# What the readers of packages say of a file that lost its end: by its name, and how it must begin
_READERS: tuple[tuple[str, Callable[[bytes], bool], Callable[[bytes], object]], ...] = (
    (".nef", lambda head: 0 in head[:8], nef.read),
    (".kmodel", lambda head: head[:4] == b"\3\0\0\0", kmodel.read),
)


def is_closed(kind: Kind) -> bool:
    """Whether files of the kind are only told apart, and not read."""
    return kind in _CLOSED


def refused(path: Path, kind: Kind) -> ModelbuildError:
    """The error for a file of such a kind."""
    what, advice = _CLOSED[kind]
    why = ""
    if kind is Kind.UNKNOWN:
        what, why, advice = _unknown(path, what, advice)
    elif kind is Kind.GZIP:
        why = _reason(path, tar.survey)
    return ModelbuildError(f"{path.name} {what}", where=str(path), why=why, advice=advice)


def _unknown(path: Path, what: str, advice: str) -> tuple[str, str, str]:
    """(what it is, why, advice) as its name and its beginning tell."""
    name = path.name.lower()
    for end, told, do in _BESIDE:
        if name.endswith(end):
            return told, "", do
    with path.open("rb") as file:
        head = file.read(16)
    for end, begins, read in _READERS:
        if name.endswith(end) and begins(head):
            return damage(path) or what, _reason(path, read), _AGAIN
    if name.endswith(".onnx"):
        size = path.stat().st_size
        end_of_model = _end_of_onnx(input_file.read(path) if size <= _MOST_READ else b"")
        if end_of_model:
            why = (
                f"at offset 0x{end_of_model:x} there are {size - end_of_model} bytes that are none of its own"
            )
            return "is an ONNX model with other bytes behind it, or damaged", why, _AGAIN
    return damage(path) or what, "", advice


def _reason(path: Path, read: Callable[[bytes], object]) -> str:
    """What the reader says of it, with the place."""
    if path.stat().st_size > _MOST_READ:
        return ""
    try:
        read(input_file.read(path))
    except ModelbuildError as error:
        first = error.problems[0]
        return ": ".join(text for text in (first.where, first.what, first.why) if text)
    return ""


def _end_of_onnx(data: bytes) -> int:
    """Where the fields of an ONNX model end that the file begins with; 0 where there is none with a graph."""
    end, has_graph = 0, False
    for field in walk(data):
        if ONNX_FIELDS.get(field.number) != field.wire or field.end > len(data):
            break
        end = field.end
        has_graph = has_graph or field.number == 7
    return end if has_graph else 0
