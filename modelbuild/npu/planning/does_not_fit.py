"""What is raised where not even the smallest step of an operator fits in SRAM."""

from __future__ import annotations


class DoesNotFit(Exception):
    """The smallest possible step needs `needed` bytes of SRAM: of operator `operator`, if it is known."""

    def __init__(self, needed: int, operator: int | None = None) -> None:
        super().__init__(needed, operator)
        self.needed = needed
        self.operator = operator
