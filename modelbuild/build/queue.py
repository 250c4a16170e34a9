"""What is known to need running and has not started: in the order of the plan, none passed over for ever."""

from __future__ import annotations

import bisect
from collections.abc import Callable

from modelbuild.build.action import Action
from modelbuild.build.verdict import MustDiscover, MustRun

PATIENCE = 16  # how many may start before one that is too large for the room that there is
SEEN = 64  # how many are looked at to find one that fits


class Waiting:
    """An action with its position in the plan and the memory that it needs, in bytes."""

    def __init__(self, position: int, action: Action, todo: MustRun | MustDiscover, memory: int) -> None:
        self.position = position
        self.action = action
        self.todo = todo
        self.memory = memory
        self.passed = 0


class Queue:
    """The waiting actions."""

    def __init__(self) -> None:
        self._waiting: list[Waiting] = []

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, waiting: Waiting) -> None:
        """Puts an action where the plan has it."""
        bisect.insort(self._waiting, waiting, key=lambda one: one.position)

    def take(self, fits: Callable[[Waiting], bool]) -> Waiting | None:
        """Removes the first that fits; None if there is none, or if one that was passed over too often must
        have its turn before any other starts."""
        seen = self._waiting[:SEEN]
        tired = [one for one in seen if one.passed >= PATIENCE]
        for index, one in enumerate(tired[:1] or seen):
            if fits(one):
                for other in seen[:index]:
                    other.passed += 1
                self._waiting.remove(one)
                return one
        return None
