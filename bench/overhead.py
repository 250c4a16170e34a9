"""What the builder adds to the work itself, of a whole build and of editing one model."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
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


@dataclass(frozen=True)
class Edit:
    """What came of editing one model of a project again and again; medians in seconds."""

    whole: float
    work: float  # of that, at least one action ran
    rest: float
    no_op: float
    actions: int

    @property
    def added(self) -> float:
        """What the build took beyond the work and a no-op."""
        return self.rest - self.no_op


def edit_one(models: int, folder: Path, runs: int) -> list[str]:
    """Other weights for one model of many, and for one of a single package, in turn."""
    projects = {count: folder / str(count) for count in (models, manifests.PER_PACKAGE)}
    for count, project in projects.items():
        manifests.write(project, count)
        say(f"  first build of {count:,} models")
        run(Command(NO_OP, project, OURS))
    time.sleep(SETTLED)
    works: dict[int, list[tuple[float, float, int]]] = {count: [] for count in projects}

    def edited(count: int, number: int) -> Run:
        manifests.write_model(projects[count], count // 2, count + number)
        done, own, actions = _built(projects[count], "2")
        works[count].append((own, done.seconds - own, actions))
        return done

    commands: dict[str, Callable[[int], Run]] = {
        f"edit {count}": partial(edited, count) for count in projects
    }
    # the first finds files of this moment, and looks at them once more; the second is as any other
    for name in ("after", "no-op"):
        commands |= {f"{name} {count}": partial(_nothing, projects[count]) for count in projects}
    found = interleaved(commands, dict.fromkeys(commands, runs), warm_up=1)

    def middle(name: str, count: int) -> float:
        return median(done.seconds for done in found[f"{name} {count}"])

    def edit(count: int) -> Edit:
        own, rest, actions = zip(*works[count][1:], strict=True)
        return Edit(middle("edit", count), median(own), median(rest), middle("no-op", count), actions[-1])

    edits = [edit(count) for count in projects]
    return _edits(edits, [middle("after", count) for count in projects], models)


def _edits(edits: Sequence[Edit], after: Sequence[float], models: int) -> list[str]:
    many, few = edits
    rows: list[tuple[str, Sequence[float]]] = [
        (f"build after editing one ({many.actions} actions run)", [edit.whole for edit in edits]),
        ("of that, an action ran", [edit.work for edit in edits]),
        ("a no-op takes", [edit.no_op for edit in edits]),
        ("the first no-op after the edit", after),
        ("editing one adds to the work and a no-op", [edit.added for edit in edits]),
    ]
    cells = [(name, *map(table.milliseconds, values)) for name, values in rows]
    difference = table.milliseconds(many.added - few.added)
    return [
        *table.table(("ms", f"one of {models:,} models", f"one of {manifests.PER_PACKAGE}"), cells),
        "",
        f"The other {models - manifests.PER_PACKAGE:,} models add {difference} ms to that.",
    ]


def _nothing(project: Path, number: int) -> Run:
    return run(Command(NO_OP, project, OURS))


def _built(folder: Path, jobs: str) -> tuple[Run, float, int]:
    """The run, the seconds in which at least one action ran, and how many ran."""
    observed = folder.parent / f"{folder.name}-observed.json"
    words = ("-m", "bench.observed", str(observed), "build", "-q", "-j", jobs)
    done = run(Command((sys.executable, *words), folder, OURS))
    spans = json.loads(observed.read_text(encoding="utf-8"))
    return done, covered(spans), len(spans)
