"""What may be chosen of compiling and of evaluating, for whoever reads options: imports nothing."""

from __future__ import annotations

from typing import Literal

Tiling = Literal["default", "deep"]
DEFAULT: Tiling = "default"
DEEP: Tiling = "deep"
TILINGS = (DEFAULT, DEEP)
MOST_BATCH = 1024  # pictures a run
FORMATS = ("kneron", "sima")  # vendors' reports that `evaluate` writes, too


def group_of(tiling: str) -> str:
    """What progress counts of a plan; beside a deep one the default is made, too."""
    return "group of operators" + (", deep tiling" if tiling == DEEP else "")
