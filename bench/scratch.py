"""Folders of a bench: what outlives a run, if it is asked to, and what does not."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def folders(kept: str | None) -> Iterator[tuple[Path, Path]]:
    """(scratch, work): `scratch` is the folder `kept`, for installed peers, or one for this run alone; `work`
    lies in it and is gone at the end, whatever happens."""
    scratch = Path(kept or tempfile.mkdtemp(prefix="bench-")).absolute()
    scratch.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix="run-", dir=scratch))
    try:
        yield scratch, work
    finally:
        shutil.rmtree(work, ignore_errors=True)
        if not kept:
            shutil.rmtree(scratch, ignore_errors=True)
