"""The threads and the memory that the actions running side by side share."""

from __future__ import annotations

import os
from collections.abc import Mapping

from modelbuild.build.action import Resources
from modelbuild.build.disk import Place


class Room:
    """`threads` and, if known, `memory` in bytes; one action may always run alone, however large it is."""

    def __init__(self, threads: int, memory: int | None) -> None:
        self._threads = threads
        self._memory = memory
        self._taken: dict[str, tuple[int, int]] = {}

    def fits(self, threads: int, memory: int) -> bool:
        """Whether an action that takes that much can start beside those that run."""
        if not self._taken:
            return True
        if sum(taken for taken, _ in self._taken.values()) + threads > self._threads:
            return False
        used = sum(taken for _, taken in self._taken.values())
        return self._memory is None or used + memory <= self._memory

    def take(self, name: str, threads: int, memory: int) -> None:
        """An action starts."""
        self._taken[name] = (threads, memory)

    def give_back(self, name: str) -> None:
        """It has ended."""
        del self._taken[name]


def memory_of(resources: Resources, inputs: Mapping[str, Place]) -> int:
    """What an action with these inputs, role -> file, says that it needs, in bytes; a missing file counts
    nothing."""
    if not resources.memory_per_input_byte:
        return resources.memory
    roles = [role for role in resources.counted or inputs if role in inputs]
    return resources.bytes_for(sum(_size(inputs[role]) for role in roles))


def _size(path: Place) -> int:
    try:
        return os.stat(path).st_size  # noqa: PTH116
    except OSError:
        return 0
