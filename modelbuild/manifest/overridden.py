"""What settings would be without the layers nearest to the model: every value that another one replaced."""

from __future__ import annotations

from collections.abc import Mapping

from modelbuild.manifest.manifest import Manifest
from modelbuild.manifest.merge import Leaf, Path, leaves
from modelbuild.manifest.settings import Examiner, Settings


def overridden(manifest: Manifest, settings: Settings) -> dict[Path, tuple[Leaf, ...]]:
    """Setting -> the values written for it that have no effect, the nearest first.

    A setting that is not among the effective ones was dropped with a `method` that another layer changed.
    Values are as they were written: `evaluation: test` stands under `evaluation.set`."""
    found: dict[Path, list[Leaf]] = {}
    for tree in reversed(Examiner(manifest).layers(settings.model, settings.target)):
        for path, leaf in leaves(tree):
            about = _meant(path, settings.origins)
            silent = leaf.origin == "built in" and (about not in settings.origins or leaf.value in (None, []))
            if settings.origins.get(about) != leaf.origin and not silent:
                found.setdefault(about, []).append(leaf)
    return {path: tuple(written) for path, written in found.items()}


def _meant(path: Path, effective: Mapping[Path, str]) -> Path:
    """The effective setting that what is written at `path` is about: itself, or the first below or above."""
    near = (one for one in effective if one[: len(path)] == path or path[: len(one)] == one)
    return path if path in effective else next(near, path)
