"""Where in a manifest the items of a list stand that settings were taken from."""

from __future__ import annotations

from modelbuild.manifest.manifest import Manifest
from modelbuild.manifest.settings import Settings


def of_items(manifest: Manifest, settings: Settings, path: tuple[str, ...], count: int) -> list[str]:
    """`models.yaml:14:7` of each of the `count` items of the list at `path`, such as ("edit",), in the layer
    that it was taken from; where no manifest has it, what stood for it (`--set ...`)."""
    origin = settings.origin(path)
    model, target = settings.model, settings.target
    levels = (("defaults",), ("targets", target), ("models", model), ("models", model, "targets", target))
    written = ((*level, *path) for level in reversed(levels))
    found = next((place for place in written if manifest.position(place) == origin), None)
    if found is None:
        return [origin] * count
    return [manifest.position((*found, index)) for index in range(count)]
