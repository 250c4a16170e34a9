"""A build that is struck at its Nth call of a Python function or a built-in one: so at any system call.

`python strike.py JSON` with `{"strikes": [[at, victim, signal, pick]], "build": [root, specification, jobs]}`
or `{"strikes": ..., "command": [words]}`. `at` may be a function's name: its first call. Without strikes the
number of calls is written to TEST_CALLS, with them a line for each that was sent to TEST_ARRIVED.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any


def children(pid: int) -> list[int]:
    """Of a process with one thread."""
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def below(pid: int) -> dict[str, list[int]]:
    """The guard, the supervisors and the workers of a builder."""
    guards = children(pid)
    supervisors = [found for guard in guards for found in children(guard)]
    return {
        "guard": guards,
        "supervisor": supervisors,
        "worker": [found for supervisor in supervisors for found in children(supervisor)],
    }


def hit(victim: str, number: int, pick: int) -> None:
    """Sends the signal to this process, to its group, or, where there is one by now, to one below it."""
    if "TEST_ARRIVED" in os.environ:
        with Path(os.environ["TEST_ARRIVED"]).open("a") as arrived:
            arrived.write(f"{victim}\n")
    found = below(os.getpid()).get(victim, [])
    if victim == "self":
        os.kill(os.getpid(), number)
    elif found:
        os.kill(random.Random(pick).choice(found), number)
    else:
        os.killpg(0, number)


class Counter:
    """Counts calls and strikes at some."""

    def __init__(self, strikes: list[list[Any]]) -> None:
        self.calls = 0
        self._strikes = {at: how for at, *how in strikes}

    def begin(self) -> None:
        sys.settrace(self.keep_on)
        sys.setprofile(self)

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        if event in ("call", "c_call"):
            self.calls += 1
            at = self.calls if self.calls in self._strikes else name_of(frame) if event == "call" else ""
            if at in self._strikes:
                hit(*self._strikes.pop(at))

    def keep_on(self, frame: FrameType, event: str, argument: Any) -> None:
        """As a trace function: Python forgets a profiler in which a signal's handler raises."""
        if sys.getprofile() is None and self._strikes:
            sys.setprofile(self)


def name_of(frame: FrameType) -> str:
    """The function's name; of the end of a context that a generator makes, the generator's and `__exit__`."""
    name = frame.f_code.co_qualname
    if name == "_GeneratorContextManager.__exit__":
        return f"{frame.f_locals['self'].gen.__qualname__}.__exit__"
    return name


def build(root: str, specification: list[dict[str, Any]], jobs: int) -> int:
    from build_harness import Project, action

    project = Project(Path(root))
    return int(not project.build([action(**one) for one in specification], jobs=jobs, keep_going=True).ok)


def main() -> int:
    from modelbuild.build.interrupts import Handled, Interrupted

    given = json.loads(sys.argv[1])
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background begins with it ignored
    counter = Counter(given["strikes"])
    if "command" in given:  # which looks after signals itself
        from modelbuild.cli import main as command

        counter.begin()
        code = command.main(given["command"])
    else:
        try:
            with Handled():
                counter.begin()
                code = build(*given["build"])
        except Interrupted as error:
            code = error.exit_code
    sys.settrace(None)
    sys.setprofile(None)
    if not given["strikes"]:
        Path(os.environ["TEST_CALLS"]).write_text(str(counter.calls))
    return code


if __name__ == "__main__":
    sys.exit(main())
