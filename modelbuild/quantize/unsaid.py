"""What holds of settings whose default hangs on others, or is dropped from their canonical form."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from modelbuild.quantize.mixed_settings import CHOSEN
from modelbuild.quantize.rounding_settings import (
    BY_SIZE,
    FEW_BITS,
    FINE,
    NEAREST,
    OBSERVED,
    USUAL_BITS,
    bits_of_name,
)
from modelbuild.quantize.sample_needs import ENOUGH, rounds_by_size
from modelbuild.quantize.settings import DEFAULT_METHOD, THREADS
from modelbuild.quantize.split_settings import may_divide


def unsaid(settings: Mapping[str, Any], rules: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Key below `quantize:` -> its default beside these canonical settings, where they do not have the key.
    `rules`: operator and unit of each rule of the chip's table.
    Of bits that a mode chooses it is that of weights of 8; beside a record nothing is chosen."""
    if "record" in settings:
        return {}
    by_default = settings["range"]["method"] == DEFAULT_METHOD
    rounding = settings.get("rounding") or _rounding(settings, by_default)
    found: dict[str, Any] = {
        "bias_correction": _BIAS_CORRECTIONS.get(rounding, "sequential"),
        "equalize": by_default,
        "rounding": rounding,
        "split": by_default and "mode" not in settings and may_divide(settings, rules),
        "threads": THREADS,
    }
    return {key: value for key, value in found.items() if key not in settings}


_BIAS_CORRECTIONS = {NEAREST: "parallel", OBSERVED: "parallel", BY_SIZE: BY_SIZE}


def _rounding(settings: Mapping[str, Any], by_default: bool) -> str:
    bits = USUAL_BITS if settings["weights"] == CHOSEN else bits_of_name(settings["weights"])
    if bits <= FEW_BITS:
        return FINE
    if bits <= USUAL_BITS and rounds_by_size(settings.get("mode"), settings["range"]["method"], ENOUGH):
        return BY_SIZE
    return OBSERVED if by_default else NEAREST
