"""Files that people asked for by name: complete or untouched."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from modelbuild.errors import ModelbuildError


def write(path: Path, data: bytes) -> None:
    """The whole file or none of it. Raises ModelbuildError where the folder or the disk refuses."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    except OSError as error:
        raise ModelbuildError(
            f"cannot write {path.name}", where=str(path.parent), why=error.strerror or str(error)
        ) from None
    finally:
        with suppress(OSError):  # what could not be written need not be removed
            temporary.unlink(missing_ok=True)
