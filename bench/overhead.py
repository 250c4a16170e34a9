"""What the builder adds to the work itself, of a whole build and of editing one model."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from bench import manifests, table
from bench.compare import SETTLED, say
from bench.measure import Command, Run, interleaved, run
from bench.tools import OURS

# by the interpreter as `bench.observed` is: what is remembered is of one search path for modules
NO_OP = (sys.executable, "-m", "modelbuild", "build", "-q")


def covered(spans: Sequence[tuple[float, float]]) -> float:
    """The length of the union of intervals."""
    total, end = 0.0, float("-inf")
    for first, last in sorted(spans):
        total += max(0.0, last - max(first, end))
        end = max(end, last)
    return total


def whole(models: int, folder: Path) -> list[str]:
    """A first build with one worker: what is not the work itself, an action."""
    manifests.write(folder, models)
    done, own, count = _built(folder, "1")
    rest = (done.seconds - own) * 1000 / count
    return [
        f"First build of {models:,} models with one worker: {count:,} actions in {done.seconds:.1f} s, in "
        f"{own:.1f} s of which an action ran; the rest is {rest:.2f} ms an action."
    ]


def edit_one(models: int, folder: Path, runs: int) -> list[str]:
    """Other weights for one model of many: the build less the work itself, and less a no-op."""
    manifests.write(folder, models)
    say(f"  first build of {models:,} models")
    run(Command(NO_OP, folder, OURS))
    time.sleep(SETTLED)
    owns: list[float] = []
    counts: list[int] = []

    def edited(number: int) -> Run:
        manifests.write_model(folder, models // 2, models + number)
        done, own, count = _built(folder, "2")
        if number:
            owns.append(own)
            counts.append(count)
        return done

    no_op = Command(NO_OP, folder, OURS)
    found = interleaved(
        {"edit": edited, "no-op": lambda number: run(no_op)}, {"edit": runs, "no-op": runs}, warm_up=1
    )
    total = [done.seconds for done in found["edit"]]
    nothing = median(done.seconds for done in found["no-op"])
    added = [one - own for one, own in zip(total, owns, strict=True)]
    head = ("", "ms")
    rows = [
        (f"build after editing one of {models:,} models ({counts[-1]} actions ran)", median(total)),
        ("of that, an action ran", median(owns)),
        ("so the builder took", median(added)),
        ("a no-op takes", nothing),
        ("editing one adds to the work and a no-op", median(added) - nothing),
    ]
    return table.table(head, [(name, table.milliseconds(value)) for name, value in rows])


def _built(folder: Path, jobs: str) -> tuple[Run, float, int]:
    """The run, the seconds in which at least one action ran, and how many ran."""
    observed = folder.parent / f"{folder.name}-observed.json"
    words = ("-m", "bench.observed", str(observed), "build", "-q", "-j", jobs)
    done = run(Command((sys.executable, *words), folder, OURS))
    spans = json.loads(observed.read_text(encoding="utf-8"))
    return done, covered(spans), len(spans)
