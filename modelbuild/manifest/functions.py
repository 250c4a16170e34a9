"""Which functions of the user's the bounds of a model need, for measures of accuracy and for boxes."""

from __future__ import annotations

from modelbuild.manifest.accept import FUNCTION
from modelbuild.manifest.model import Model
from modelbuild.manifest.settings import Settings
from modelbuild.quantize.goals import OF_BOXES


def of_bounds(settings: Settings) -> tuple[str, ...]:
    """The functions that `accept: {function: ...}` names, each as FILE.py:FUNCTION."""
    return tuple(sorted(settings.values["accept"].get(FUNCTION, ())))


def of_boxes(settings: Settings, model: Model) -> str | None:
    """The postprocessing, where a bound is on mean average precision."""
    asked = any(key in settings.values["accept"] for key in OF_BOXES)
    return model.postprocess if asked else None
