"""`--profile`: where the time and the memory of a build went."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from modelbuild.cli import console
from modelbuild.cli.recording.ledger import Run

SLOWEST = 20  # actions in the table; JSON has them all


def profile(runs: Sequence[Run], seconds: float, reads: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """The object under `profile` in `build --json`. `seconds` is the whole build's time, `reads` is action ->
    the actions whose outputs it reads."""
    busy = sum(run.seconds for run in runs)
    path = critical_path({run.action: run.seconds for run in runs}, reads)
    return {
        "seconds": round(seconds, 3),
        "busy_seconds": round(busy, 3),
        "actions": [
            {
                "action": run.action,
                "state": run.state,
                "seconds": round(run.seconds, 3),
                "share": _share(run.seconds, busy),
                "peak_bytes": run.peak_bytes,
            }
            for run in sorted(runs, key=lambda run: (-run.seconds, run.action))
        ],
        "stages": _stages(runs, busy),
        "critical_path": [{"action": name, "seconds": round(took, 3)} for name, took in path],
        "critical_seconds": round(sum(took for _, took in path), 3),
    }


def critical_path(took: Mapping[str, float], reads: Mapping[str, Sequence[str]]) -> list[tuple[str, float]]:
    """The chain of runs, each reading the one before, that took longest: no number of workers beats it.

    Actions that did not run take no time, and no place in the list."""
    best: dict[str, tuple[float, str]] = {}  # action -> seconds until it ended, and what it waited for
    for name in _inputs_first(reads):
        longest = max(
            ((best[source][0], source) for source in reads[name] if source in best), default=(0.0, "")
        )
        best[name] = (longest[0] + took.get(name, 0.0), longest[1])
    name = max(best, key=lambda name: best[name][0], default="")
    path = []
    while name:
        if name in took:
            path.append((name, took[name]))
        name = best[name][1]
    return path[::-1]


def _inputs_first(reads: Mapping[str, Sequence[str]]) -> list[str]:
    """The actions so that each stands behind what it reads."""
    order: dict[str, None] = {}
    for goal in reads:
        stack = [goal]
        while stack:
            waits = [source for source in reads[stack[-1]] if source in reads and source not in order]
            if waits:
                stack += waits
            else:
                order.setdefault(stack.pop())
    return list(order)


def _stages(runs: Sequence[Run], busy: float) -> list[dict[str, Any]]:
    found: dict[str, list[Run]] = {}
    for run in runs:
        found.setdefault(run.stage, []).append(run)
    rows = [
        {
            "stage": stage,
            "count": len(members),
            "seconds": round(sum(run.seconds for run in members), 3),
            "share": _share(sum(run.seconds for run in members), busy),
            "peak_bytes": max(
                (run.peak_bytes for run in members if run.peak_bytes is not None), default=None
            ),
        }
        for stage, members in found.items()
    ]
    return sorted(rows, key=lambda row: (-row["seconds"], row["stage"]))


def _share(seconds: float, busy: float) -> float:
    return round(seconds / busy, 4) if busy else 0.0


def text(found: Mapping[str, Any]) -> str:
    """The tables that people read."""
    if not found["actions"]:
        return "profile: nothing ran"
    header = ("seconds", "share", "peak memory")
    actions = [(*_cells(item), item["action"]) for item in found["actions"][:SLOWEST]]
    stages = [(*_cells(item), str(item["count"]), item["stage"]) for item in found["stages"]]
    more = len(found["actions"]) - len(actions)
    lines = [
        console.table((*header, "slowest actions"), actions, right=(0, 1, 2)),
        *([f"and {more} more, all of them in --json"] if more else []),
        "",
        console.table((*header, "actions", "stage"), stages, right=(0, 1, 2, 3)),
    ]
    if found["critical_path"]:
        lines += ["", f"longest chain: {found['critical_seconds']:.3f} s of {found['seconds']:.3f} s"]
        lines += [f"  {item['seconds']:.3f} s  {item['action']}" for item in found["critical_path"]]
    return "\n".join(lines)


def _cells(item: Mapping[str, Any]) -> tuple[str, str, str]:
    peak = item["peak_bytes"]
    memory = "not known" if peak is None else console.size(peak)
    return f"{item['seconds']:.3f}", f"{100 * item['share']:.1f} %", memory
