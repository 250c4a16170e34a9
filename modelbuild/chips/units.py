"""Units of a chip, as operator tables name them. Imports nothing that is slow: plans are made with it."""

from __future__ import annotations

from collections.abc import Iterable

ON_NPU = ("npu", "fused")


def chip_has(op: str, rules: Iterable[tuple[str, str]]) -> bool:
    """Whether the chip runs some form of an operator. `rules`: the operator and the unit of each."""
    return any(each == op for each, _ in rules)
