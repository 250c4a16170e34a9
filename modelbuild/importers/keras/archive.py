"""A .keras file: a ZIP archive of config.json, metadata.json and, for h5py, model.weights.h5."""

from __future__ import annotations

import json
import zipfile
import zlib
from pathlib import Path

from modelbuild import lfs
from modelbuild.errors import ModelbuildError

_MAX_JSON = 2**26
WEIGHTS = "model.weights.h5"
_MAX_FACTOR = 8  # times the archive's size that its parts may unfold to
_SPARE = 2**20


def check_file(path: Path) -> None:
    """Raises where `path` is no regular file, empty, or a Git LFS pointer."""
    try:
        if path.is_dir():
            raise ModelbuildError("this is a folder, not a model file")
        size = path.stat().st_size
        if not path.is_file():
            raise ModelbuildError("this is not a regular file")
    except FileNotFoundError as error:
        raise ModelbuildError("there is no such file") from error
    except OSError as error:
        raise ModelbuildError("the file cannot be read", why=error.strerror or str(error)) from error
    if size == 0:
        raise ModelbuildError("the file is empty", advice="copy it again")
    if lfs.is_pointer(path):
        raise ModelbuildError(f"this is {lfs.WHAT}", advice=lfs.ADVICE)


def is_archive(path: Path) -> bool:
    """Whether the file begins as a ZIP archive does, or, where it begins as nothing known, is named so."""
    with path.open("rb") as stream:
        head = stream.read(4)
    return head[:2] == b"PK" or (path.suffix.lower() == ".keras" and head != b"\x89HDF")


def read(path: Path) -> tuple[str, str]:
    """(description, Keras's version) of a .keras archive."""
    try:
        with zipfile.ZipFile(path) as archive:
            limit = _MAX_FACTOR * path.stat().st_size + _SPARE
            text = _part(archive, "config.json", min(limit, _MAX_JSON))
            about = _part(archive, "metadata.json", min(limit, _MAX_JSON))
            archive.getinfo(WEIGHTS)
            found = json.loads(about)
            version = found.get("keras_version") if isinstance(found, dict) else None
            return text.decode("utf-8"), str(version or "3")
    except ModelbuildError:
        raise
    except KeyError as error:
        raise ModelbuildError(
            "the archive is no Keras model",
            why=str(error.args[0]),
            advice="name a file that `model.save` made",
        ) from error
    except (zipfile.BadZipFile, OSError, ValueError, EOFError, NotImplementedError, RuntimeError) as error:
        raise ModelbuildError(
            "the .keras file is truncated or damaged",
            why=str(error) or type(error).__name__,
            advice="compare its size with the original's and copy it again",
        ) from error
    except zlib.error as error:
        raise ModelbuildError("the .keras file is truncated or damaged", why=str(error)) from error


def _part(archive: zipfile.ZipFile, name: str, limit: int) -> bytes:
    info = archive.getinfo(name)
    if info.file_size > limit:
        raise ModelbuildError(f"`{name}` in the archive would unfold to {info.file_size} bytes")
    with archive.open(info) as stream:
        data = stream.read(limit + 1)
    if len(data) > limit:
        raise ModelbuildError(f"`{name}` in the archive is larger than it says")
    return data
