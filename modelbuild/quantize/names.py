"""Names that nothing else has."""

from __future__ import annotations

from collections.abc import Iterable


class Names:
    """The names that are taken; `fresh` takes one more."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = set(taken)

    def fresh(self, wanted: str) -> str:
        """`wanted`, or the first of `wanted/2`, `wanted/3` ... that is free."""
        name, count = wanted, 1
        while name in self._taken:
            count += 1
            name = f"{wanted}/{count}"
        self._taken.add(name)
        return name
