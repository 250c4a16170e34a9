"""What holds of settings whose default hangs on others, or is dropped from their canonical form."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from modelbuild.quantize.rounding_settings import FEW_BITS, FINE, NEAREST, OBSERVED, bits_of_name
from modelbuild.quantize.settings import DEFAULT_METHOD, THREADS
from modelbuild.quantize.split_settings import may_divide


def unsaid(settings: Mapping[str, Any], rules: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Key below `quantize:` -> its default beside these canonical settings, where they do not have the key.
    `rules`: operator and unit of each rule of the chip's table.
    Of bits that a mode chooses it is that of weights of 8; beside a record nothing is chosen."""
    if "record" in settings:
        return {}
    fine = bits_of_name(settings["weights"]) <= FEW_BITS
    by_default = settings["range"]["method"] == DEFAULT_METHOD
    rounding = settings.get("rounding") or (FINE if fine else OBSERVED if by_default else NEAREST)
    found: dict[str, Any] = {
        "bias_correction": "parallel" if rounding in (NEAREST, OBSERVED) else "sequential",
        "equalize": by_default,
        "rounding": rounding,
        "split": by_default and "mode" not in settings and may_divide(settings, rules),
        "threads": THREADS,
    }
    return {key: value for key, value in found.items() if key not in settings}
