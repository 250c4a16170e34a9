"""Versions of installed libraries, read from their metadata folders without importing anything."""

from __future__ import annotations

import os
import re
import sys
from functools import cache

from modelbuild.errors import EXIT_FAILED, ModelbuildError

_DIST_INFO = re.compile(r"^(?P<name>[A-Za-z0-9_.]+)-(?P<version>[^-]+)\.dist-info$")


@cache
def _installed() -> dict[str, str]:
    found: dict[str, str] = {}
    for entry in reversed(sys.path):
        try:
            names = os.listdir(entry or ".")  # noqa: PTH208 - a Path for each of hundreds of names costs more
        except OSError:
            continue  # sys.path may name archives and what is not there
        for name in names:
            match = _DIST_INFO.match(name)
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
