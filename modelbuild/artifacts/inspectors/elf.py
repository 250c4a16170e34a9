"""An ELF as `inspect` shows it: its sections."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from modelbuild.formats import elf


def describe(path: Path) -> dict[str, Any]:
    """The named sections. Errors: ModelbuildError with the offset."""
    found = elf.read(path.read_bytes())
    return {
        "version": None,
        "silicon": None,
        "machine": found.machine,
        "checksums": [],
        "sections": [
            {"name": item.name, "size": item.size, "stored": item.kind != elf.NOBITS}
            for item in found.sections
        ],
        "models": [],
    }
