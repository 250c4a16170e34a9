"""The one byte form of a JSON value, and SHA-256 over bytes and files."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def encode(value: Any) -> bytes:
    """Canonical JSON: sorted keys, no spaces, ASCII only. NaN and infinities raise ValueError."""
    return _ENCODER.encode(value).encode("ascii")


def sha256(data: bytes) -> str:
    """All 256 bits, as 64 hex digits."""
    return hashlib.sha256(data).hexdigest()


def sha256_of_file(path: Path) -> str:
    """The digest of a file's bytes, read in blocks. Raises OSError."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
