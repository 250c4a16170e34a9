"""An encrypted package as `inspect` shows it: what its header says. Nothing here has a key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from modelbuild import input_file
from modelbuild.artifacts.inspectors import archive
from modelbuild.formats import sealed
from modelbuild.formats.parts import Part

_ALGORITHMS = {sealed.AES_SIV: "AES-256-SIV (RFC 5297)"}


def describe(path: Path) -> dict[str, Any]:
    """Mode, secrets that it needs, cipher, and what is inside. Errors: ModelbuildError with the offset."""
    data = input_file.read(path)
    header = sealed.read_header(data)
    start = sealed.HEADER_BYTES + sealed.TAG_BYTES
    parts = (
        Part(0, sealed.HEADER_BYTES, "header"),
        Part(sealed.HEADER_BYTES, sealed.TAG_BYTES, "authentication tag"),
        Part(start, len(data) - start, f"{header.format} package, encrypted"),
    )
    return {
        "version": str(header.version),
        "silicon": None,
        "mode": header.mode,
        "needs": list(header.needs),
        "algorithm": _ALGORITHMS[header.algorithm],
        "key_derivation": sealed.KDFS[header.kdf],
        "authenticity": "not checked: that takes the keys, and `modelbuild nef decrypt`",
        "contains": {"format": header.format, "size": header.length},
        "checksums": [],
        "checks": [],
        "models": [],
        "parts": archive.parts(parts, len(data)),
    }
