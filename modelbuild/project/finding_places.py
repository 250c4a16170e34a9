"""Where the manifest can be changed for a finding of a model."""

from __future__ import annotations

from typing import Any

from modelbuild.manifest.manifest import Manifest

ABOUT_PREPROCESSING = ("MB204", "MB205")


def place_of(manifest: Manifest, model: str, code: str) -> dict[str, Any]:
    """{file, line, column} of how the input is prepared, for what is probably wrong with that; else of the
    model's source, and that, too, where several inputs are prepared."""
    inputs = manifest.spec.models[model].inputs
    written = [name for name, given in inputs.items() if given.preprocess is not None]
    prepared = code in ABOUT_PREPROCESSING and len(written) == 1
    path = ("inputs", written[0], "preprocess") if prepared else ("source",)
    file, line, column = manifest.position(("models", model, *path)).rsplit(":", 2)
    return {"file": file, "line": int(line), "column": int(column)}
