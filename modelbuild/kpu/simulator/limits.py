"""Bounds on what a kmodel may cost, so that no hostile file can hold up the machine that runs it."""

from __future__ import annotations

from dataclasses import dataclass

from modelbuild.errors import ModelbuildError

MAX_STEPS = 1_000_000  # instructions and operations of one run
MAX_WORK = 1 << 35  # multiply-accumulates and elements of one run together; a minute or two at the worst
MAX_MEMORY = 1 << 30  # bytes of all memories of a file
MAX_ELEMENTS = 1 << 26  # of one tensor
MAX_KEPT = 1 << 31  # bytes of values that are kept on request
MAX_DEPTH = 16  # functions that call each other
MAX_STACK = 65_536  # values on the stack
PYTHON_LOOP = 1 << 15  # what one round of a loop of ours costs, in elements


def refused(what: str, where: str = "", why: str = "", advice: str = "") -> ModelbuildError:
    """The error for a kmodel that cannot be run, and must not be."""
    return ModelbuildError(f"the kmodel does not run: {what}", where=where, why=why, advice=advice)


@dataclass
class Budget:
    """What is left of the work of one run."""

    steps: int = MAX_STEPS
    work: int = MAX_WORK
    kept: int = MAX_KEPT

    def step(self) -> None:
        """Counts one instruction or operation."""
        self.steps -= 1
        if self.steps < 0:
            raise refused(f"it takes more than {MAX_STEPS} instructions")

    def spend(self, work: int) -> None:
        """Counts work before it is done."""
        self.work -= work
        if self.work < 0:
            raise refused(f"it asks for more than {MAX_WORK} operations")

    def keep(self, size: int) -> None:
        """Counts bytes that are kept."""
        self.kept -= size
        if self.kept < 0:
            raise refused(f"its tensors have more than {MAX_KEPT} bytes in all", why="they are to be kept")
