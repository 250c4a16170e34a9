"""Reading a model file's bytes, with a name for what is there instead of a model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from modelbuild import lfs
from modelbuild.errors import ModelbuildError
from modelbuild.graph.edit_places import in_file

_MAX_BYTES = 2**31 - 1
_MAGIC: tuple[tuple[int, bytes, str, str], ...] = (
    (0, lfs.POINTER_START, lfs.WHAT, lfs.ADVICE),
    (0, b"PK\x03\x04", "a ZIP archive (a PyTorch checkpoint?)", "export the model: `torch.onnx.export(...)`"),
    (0, b"\x80\x02", "a Python pickle (a PyTorch checkpoint?)", "export the model: `torch.onnx.export(...)`"),
    (0, b"\x89HDF\r\n", "an HDF5 file (a Keras model?)", "name it .h5 if it is one"),
    (4, b"TFL3", "a TFLite model", "name it .tflite"),
    (0, b"\x1f\x8b", "a gzip archive", "unpack it first"),
)


def read(path: Path, own: Sequence[bytes] = ()) -> bytes:
    """The bytes of a model file. Raises for what is not a regular file, is empty, or is something else than
    what begins with one of the format's `own` magic bytes."""
    if path.is_dir():
        raise ModelbuildError("this is a folder, not a model file")
    try:
        size = path.stat().st_size
        if not path.is_file():
            raise ModelbuildError("this is not a regular file")
        if size > _MAX_BYTES:
            raise ModelbuildError(
                f"the file is {size / 1e9:.1f} GB large; one ONNX file holds at most 2 GB",
                advice="save the model with external data: `onnx.save(..., save_as_external_data=True)`",
            )
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise ModelbuildError("there is no such file") from error
    except OSError as error:
        raise ModelbuildError("the file cannot be read", why=error.strerror or str(error)) from error
    _refuse(data, own)
    return data


def located(error: ModelbuildError, path: Path) -> ModelbuildError:
    """`error` with the file `path` as its place where it has none, and before that of an edit."""
    return type(error).of(
        (p._replace(where=in_file(p.where, path) or str(path)) for p in error.problems), error.exit_code
    )


def damaged(data: bytes, why: str) -> ModelbuildError:
    """The error for bytes that are no ONNX model: truncated ones begin as a model does."""
    if data[:1] == b"\x08" and len(data) > 1:
        return ModelbuildError(
            f"the ONNX file is truncated or damaged ({len(data)} bytes)",
            why=why,
            advice="compare its size with the original's and copy it again",
        )
    return ModelbuildError(
        "this is not an ONNX file", why=why, advice="name a model exported to ONNX, or copy it again"
    )


def _refuse(data: bytes, own: Sequence[bytes]) -> None:
    if not data:
        raise ModelbuildError("the file is empty", advice="copy it again")
    head = data[:512].lstrip().lower()
    if head.startswith((b"<!doctype", b"<html", b"<?xml")):
        raise ModelbuildError(
            "this is a web page, not a model",
            why="a download link often leads to a page about the file",
            advice="download the file itself (on GitHub: the button `Download raw file`)",
        )
    for offset, magic, what, advice in _MAGIC:
        if magic not in own and data[offset : offset + len(magic)] == magic:
            raise ModelbuildError(f"this is {what}", advice=advice)
