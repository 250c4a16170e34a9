"""Versions of installed libraries, read from their metadata folders without importing anything."""

from __future__ import annotations

import re
import sys
from functools import cache
from pathlib import Path

from modelbuild.errors import EXIT_FAILED, ModelbuildError

_DIST_INFO = re.compile(r"^(?P<name>[A-Za-z0-9_.]+)-(?P<version>[^-]+)\.dist-info$")


@cache
def _installed() -> dict[str, str]:
    found: dict[str, str] = {}
    for entry in reversed(sys.path):
        folder = Path(entry)
        if not folder.is_dir():
            continue
        for path in folder.glob("*.dist-info"):
            match = _DIST_INFO.match(path.name)
            if match:
                found[match["name"].replace("_", "-").lower()] = match["version"]
    return found


def version(name: str) -> str:
    """The installed version of a distribution; its absence is an error that says so."""
    installed = _installed().get(name.lower())
    if installed is None:
        raise ModelbuildError(
            f"the library {name} is not installed beside modelbuild",
            advice="install modelbuild again with its dependencies",
            exit_code=EXIT_FAILED,
        )
    return installed
