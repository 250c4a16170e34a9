"""What is raised where not even the smallest step of an operator fits in SRAM."""

from __future__ import annotations

from collections.abc import Mapping


class DoesNotFit(Exception):
    """The smallest possible step needs `needed` bytes of SRAM: of operator `operator`, if it is known.
    `others` are operators that are known to exceed it, too, with what they need."""

    def __init__(
        self, needed: int, operator: int | None = None, others: Mapping[int, int] | None = None
    ) -> None:
        super().__init__(needed, operator)
        self.needed = needed
        self.operator = operator
        self.others = dict(others or {})
