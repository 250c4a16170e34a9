"""What a model whose source is a fixed-point model cannot be told: it is imported and quantized already."""

from __future__ import annotations

from modelbuild.manifest import tree
from modelbuild.manifest.manifest import Manifest
from modelbuild.manifest.problems import Problems
from modelbuild.manifest.settings import Settings

# Keys of the model itself that have nothing left to act upon. In `defaults:` they are meant for other models.
_WITHOUT_EFFECT = ("edit", "optimize", "quantize", "calibration", "inputs")


def check_fixed(manifest: Manifest, settings: Settings, problems: Problems) -> None:
    """Settings that would be ignored, and bounds that need the float model, which is not there."""
    model = manifest.spec.models[settings.model]
    if not model.is_fixed:
        return
    own = [("models", settings.model), ("models", settings.model, "targets", settings.target)]
    for base in own:
        for key in _WITHOUT_EFFECT:
            if tree.find(manifest.tree, (*base, key)) is not None:
                problems.error(
                    f"`{key}` has no effect on a fixed-point source",
                    tree.place(manifest.tree, (*base, key), of_key=True),
                    f"{model.source_name} is imported and quantized already",
                    "remove it, or name the float model as `source:`",
                )
    for key in settings.values["accept"]:
        problems.error(
            f"`accept: {key}` cannot be measured on a fixed-point source",
            settings.origin(("accept", key)),
            "bounds hold the fixed-point model against the float one, which is not there",
            f"write `accept: {{{key}: null}}` at the model `{settings.model}`",
        )
