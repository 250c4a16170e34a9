"""What the settings of quantization ask of each other across sections."""

from __future__ import annotations

from modelbuild.manifest.problems import Problems
from modelbuild.manifest.samples import Chosen
from modelbuild.manifest.settings import Settings
from modelbuild.quantize.goals import GOALS, OF_BOXES, OF_CLASSES, measurable
from modelbuild.quantize.mixed_settings import AUTO
from modelbuild.samples.labels import BOXES, CLASSES


def check_goal(settings: Settings, problems: Problems) -> None:
    """Bits that are chosen until an accuracy holds need to be told which."""
    if _is_auto(settings) and not any(goal in settings.values["accept"] for goal in GOALS):
        problems.error(
            f"`mode: auto` needs to know which accuracy is wanted of `{settings.model}`",
            settings.origin(("quantize", "mode")),
            "it chooses 16 bits until the bounds of `accept` on accuracy hold, such as snr_db or top1_drop",
            "write `accept: {snr_db: 30}`, or choose another mode",
        )


def check_measurable(
    settings: Settings, calibration: Chosen, evaluation: Chosen | None, problems: Problems
) -> None:
    """One of these bounds at least has to be known of the calibration samples, and a target accuracy."""
    if not _is_auto(settings):
        return
    accept, mode = settings.values["accept"], settings.origin(("quantize", "mode"))
    known = measurable(accept, calibration.kind, None if evaluation is None else evaluation.kind)
    asked = [goal for goal in GOALS if goal in accept]
    if known:  # of a target_accuracy, which sets both the mode and the bound, no other bound takes the place
        asked = [goal for goal in asked if goal not in known and settings.origin(("accept", goal)) == mode]
    if not asked:
        return
    needed = _LABELS.get(asked[0], "labels")
    problems.error(
        f"`mode: auto` cannot measure `{asked[0]}` of `{settings.model}`",
        mode,
        f"it measures on the calibration samples, and those of `{calibration.name}` have no {needed}",
        f"add `labels:` to `{calibration.name}`, or a bound that needs none, such as `snr_db: 30`",
    )


_LABELS = {**dict.fromkeys(OF_CLASSES, CLASSES), **dict.fromkeys(OF_BOXES, BOXES)}


def _is_auto(settings: Settings) -> bool:
    return settings.values["quantize"].get("mode") == AUTO and settings.record is None
