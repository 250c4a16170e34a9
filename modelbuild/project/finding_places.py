"""Where the manifest can be changed for a finding of a model."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:  # a build of what changed remembers the places
    from modelbuild.manifest.manifest import Manifest
    from modelbuild.manifest.settings import Settings

# Code -> the place that it is about; others are about the model, where its source is named.
_ABOUT = {"MB204": "prepared", "MB205": "prepared", "MB306": "speed", "MB112": "scheme", "MB117": "memory"}
_IN_A_FILE = re.compile(r"(?!--set ).+:\d+:\d+")


class ModelPlaces(NamedTuple):
    """FILE:LINE:COLUMN of a model's source, of how its input is prepared (the source again where several
    inputs are, or none), and of its bound on speed, its scheme of ranges and the memory that its program may
    use on a target; "" where no file has it."""

    source: str
    prepared: str
    speed: str = ""
    scheme: str = ""
    memory: str = ""

    @classmethod
    def of(cls, manifest: Manifest, model: str, target: str) -> ModelPlaces:
        """Those of a model of the manifest on a target."""
        from modelbuild.manifest.settings import effective

        inputs = manifest.spec.models[model].inputs
        written = [name for name, given in inputs.items() if given.preprocess is not None]
        source = manifest.position(("models", model, "source"))
        settings = effective(manifest, model, target)
        paths = (("accept", "fps"), ("quantize", "scheme"), ("compile", "sram_bytes"))
        set_here = (_place(settings, path) for path in paths)
        if len(written) != 1:
            return cls(source, source, *set_here)
        prepared = manifest.position(("models", model, "inputs", written[0], "preprocess"))
        return cls(source, prepared, *set_here)

    def of_finding(self, code: str) -> dict[str, Any]:
        """{file, line, column} for the finding `code`."""
        place = getattr(self, _ABOUT.get(code, "source")) or self.source
        file, line, column = place.rsplit(":", 2)
        return {"file": file, "line": int(line), "column": int(column)}


def _place(settings: Settings, path: tuple[str, ...]) -> str:
    """Where the manifest sets it; "" of what the command line or a recipe does."""
    origin = settings.origins.get(path, "")
    return origin if _IN_A_FILE.fullmatch(origin) else ""
