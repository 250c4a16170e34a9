"""A BIE as `inspect` shows it: encrypted, so little more than that."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from modelbuild import input_file
from modelbuild.artifacts.inspectors import archive
from modelbuild.formats import bie
from modelbuild.formats.parts import Part

_CHIP = re.compile(r"kdp(\d{3})")


def describe(path: Path) -> dict[str, Any]:
    """Size, digest and entropy; and the chip, where the name tells it."""
    found = bie.read(input_file.read(path))
    looks = all(check.ok for check in found.checks)
    what = "encrypted, unknown" if looks else "unknown"
    named = _CHIP.search(path.name)
    return {
        "version": None,
        "silicon": None,
        "chip": f"kl{named[1]}" if named else None,
        "chip_from": "the file's name" if named else None,
        "encryption": "the vendor's, whose cipher and layout are not public" if looks else None,
        "sha256": found.sha256,
        "entropy": round(found.entropy, 4),
        "recognised": "by its name alone: nothing in a BIE says that it is one",
        "compatibility": f"a toolchain from {', '.join(bie.BREAKS)} on takes none of an earlier one",
        "advice": "inspect the NEF that was compiled from it, or the ONNX model it was made from",
        "checksums": [],
        "checks": archive.checks(found.checks),
        "models": [],
        "parts": archive.parts((Part(0, found.size, what, known=False),), found.size),
    }
