"""`split` below `quantize:`: where it is on unasked. Imports no numpy: plans are made with it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from modelbuild.chips.units import chip_has


def may_divide(settings: Mapping[str, Any], rules: Iterable[tuple[str, str]]) -> bool:
    """Whether channels may be divided unasked: the chip can join them again, and no scheme is written, which
    speaks of the lowered model's tensors. `rules`: operator and unit of each rule of the chip's table."""
    return "export_scheme" not in settings and chip_has("Concat", rules)
