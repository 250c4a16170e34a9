"""A checksum that a file stores."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Checksum:
    """A checksum as the file has it, and as its bytes give it."""

    what: str
    stored: int
    computed: int

    @property
    def ok(self) -> bool:
        """Whether both agree."""
        return self.stored == self.computed
