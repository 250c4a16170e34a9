"""A program that shows a build which never happens: `drawn.py FOLDER ACTIONS PREFIX [wait|fail]`."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from modelbuild.build.result import Event
from modelbuild.cli import console, progress
from modelbuild.cli.progress.failures import Failures
from modelbuild.errors import ModelbuildError


def main(folder: str, count: str, prefix: str, ending: str = "") -> None:
    """Tells of `count` actions that run, each tenth with how far it is, and of one that was cached.

    With `wait` it waits halfway for Return, with `fail` an action fails there."""
    console.configure(json=False, quiet=False, verbose=False, color="auto")
    total, began = int(count) + 1, time.monotonic()
    failures = Failures(lambda action, error: error, lambda action: Path("log"))
    names = [f"{prefix}{index}:observe" for index in range(int(count))]
    with progress.shown(Path(folder), lambda: [*names, "known:observe"], failures) as tell:

        def say(kind: str, action: str, done: int, **facts: object) -> None:
            tell(Event(kind, action, done=done, total=total, seconds=time.monotonic() - began, **facts))  # type: ignore[arg-type]

        say("finished", "known:observe", 1, state="cached")
        for index, name in enumerate(names):
            say("started", name, 1 + index, worker=0)
            if index % 10 == 0:
                say("progress", name, 1 + index, worker=0, step=12, steps=64, what="sample")
            if ending and index == int(count) // 2:
                print(f"\nhalfway at {name}", file=sys.stderr)
                if ending == "wait":
                    sys.stdin.readline()
                if ending == "fail":
                    error = ModelbuildError("it broke", why="it was weak", advice="mend it")
                    say("finished", name, 2 + index, state="failed", error=error)
                    continue
            say("finished", name, 2 + index, state="run", worker=0)
    print("the end")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
