"""What the settings of quantization ask of each other across sections."""

from __future__ import annotations

from modelbuild.manifest.problems import Problems
from modelbuild.manifest.settings import Settings

GOALS = ("snr_db", "snr_db_mean")  # bounds that `mode: auto` can work towards


def check_goal(settings: Settings, problems: Problems) -> None:
    """Bits that are chosen until an accuracy holds need to be told which."""
    quantize = settings.values["quantize"]
    if quantize.get("mode") != "auto" or settings.record is not None:
        return
    if not any(goal in settings.values["accept"] for goal in GOALS):
        problems.error(
            f"`mode: auto` needs to know which accuracy is wanted of `{settings.model}`",
            settings.origin(("quantize", "mode")),
            f"it chooses 16 bits until {' or '.join(GOALS)} of `accept` holds",
            "write `accept: {snr_db: 30}`, or choose another mode",
        )
