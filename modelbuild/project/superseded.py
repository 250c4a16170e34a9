"""Products of packages that the manifest has no longer: out of the way, and not lost."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from modelbuild.build.build import Builder
from modelbuild.project.layout import DIST, REPORTS, STALE, STALE_REPORTS


def put_aside(builder: Builder, packages: Collection[str]) -> tuple[str, ...]:
    """Moves what builds of this manifest have put into `dist/` and `reports/` for packages other than
    `packages` to the `.stale` beside it; the folders that were moved. What no build has made stays."""
    moved = []
    for top, stale in ((DIST, STALE), (REPORTS, STALE_REPORTS)):
        for folder in builder.superseded([Path(top, name) for name in packages], Path(top)):
            builder.withdraw(folder, Path(stale, folder.name))
            moved.append(folder.as_posix())
    return tuple(moved)
