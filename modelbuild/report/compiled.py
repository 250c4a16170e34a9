"""Compiled templates, kept where Python keeps its own bytecode: compiling them takes longer than a report."""

from __future__ import annotations

import hashlib
import importlib.util
import pickle
import sys
from contextlib import suppress
from pathlib import Path

import jinja2
from jinja2.bccache import Bucket, FileSystemBytecodeCache

_DAMAGE = (OSError, EOFError, ValueError, pickle.UnpicklingError)


class Compiled(FileSystemBytecodeCache):
    """The compiled templates of one folder, in the `__pycache__` that Python would take for a module there.

    A template's text, the environment's `options`, Jinja and Python decide what is taken; what is damaged or
    cannot be written is compiled each time, as with Python's own.
    """

    def __init__(self, folder: Path, options: str) -> None:
        super().__init__(str(Path(importlib.util.cache_from_source(str(folder / "_.py"))).parent), "%s.jinja")
        self._made_by = f"{sys.implementation.cache_tag} {_version()} {options}"

    def get_cache_key(self, name: str, filename: str | None = None) -> str:
        """A name that tells apart whatever else the bytecode depends on."""
        own = hashlib.sha256(f"{self._made_by} {name} {filename}".encode()).hexdigest()[:16]
        return f"{name.rsplit('/', 1)[-1]}.{own}"

    def load_bytecode(self, bucket: Bucket) -> None:
        """Fills the bucket, if there is something whole to fill it with."""
        try:
            super().load_bytecode(bucket)
        except _DAMAGE:
            bucket.reset()

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keeps what is in the bucket, unless Python is told to keep nothing."""
        if not sys.dont_write_bytecode:
            with suppress(OSError):
                Path(self.directory).mkdir(parents=True, exist_ok=True)
                super().dump_bytecode(bucket)


def _version() -> str:
    """Of Jinja's compiler, as Python tells its own sources apart: size and time."""
    about = Path(str(jinja2.__file__)).with_name("compiler.py").stat()
    return f"{about.st_size} {about.st_mtime_ns}"
