"""Where the manifest can be changed for a finding of a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:  # a build of what changed remembers the places
    from modelbuild.manifest.manifest import Manifest

ABOUT_PREPROCESSING = ("MB204", "MB205")


class ModelPlaces(NamedTuple):
    """FILE:LINE:COLUMN of a model's source, and of how its input is prepared: the source again where several
    inputs are, or none."""

    source: str
    prepared: str

    @classmethod
    def of(cls, manifest: Manifest, model: str) -> ModelPlaces:
        """Those of a model of the manifest."""
        inputs = manifest.spec.models[model].inputs
        written = [name for name, given in inputs.items() if given.preprocess is not None]
        source = manifest.position(("models", model, "source"))
        if len(written) != 1:
            return cls(source, source)
        return cls(source, manifest.position(("models", model, "inputs", written[0], "preprocess")))

    def of_finding(self, code: str) -> dict[str, Any]:
        """{file, line, column} for the finding `code`."""
        place = self.prepared if code in ABOUT_PREPROCESSING else self.source
        file, line, column = place.rsplit(":", 2)
        return {"file": file, "line": int(line), "column": int(column)}
