"""An ELF as `inspect` shows it: its sections, and what the names of an accelerator's program tell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from modelbuild import input_file
from modelbuild.artifacts.inspectors import archive
from modelbuild.formats import elf, mpk_program


def describe(path: Path) -> dict[str, Any]:
    """The named sections. Errors: ModelbuildError with the offset."""
    found = elf.read(input_file.read(path))
    summary = mpk_program.summarize(found)
    known = summary.code_sections or summary.weight_sections or summary.inputs or summary.outputs
    return {
        "version": None,
        "silicon": None,
        "machine": found.machine,
        "type": found.type,
        "checksums": [],
        "code_bytes": summary.code_bytes if known else None,
        "weight_bytes": summary.weight_bytes if known else None,
        "input_bytes": summary.input_bytes if known else None,
        "output_bytes": summary.output_bytes if known else None,
        "sections": [
            {
                "name": item.name,
                "size": item.size,
                "stored": item.kind != elf.NOBITS,
                "role": mpk_program.role(item.name),
            }
            for item in found.sections
        ],
        "models": [],
        "parts": archive.parts(found.parts, len(found.data)),
    }
