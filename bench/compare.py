"""The table: no-op, edit one, touch one, full build and memory of every builder, in one interleaved run."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench import table, tools
from bench.layers import layered
from bench.measure import Run, interleaved, middle, run, spread
from bench.peers import Peer
from bench.tools import Tool

# Builders that know clocks read a file younger than this again; a no-op is measured when there is none.
SETTLED = 3.0
SMALLEST = 10.0  # MB; what the launcher has itself, below which a peak cannot be told


@dataclass(frozen=True)
class Row:
    """What one builder took on one graph."""

    tool: Tool
    full: Run | None
    no_op: list[Run]
    edit: list[Run]
    touch: list[Run]
    edited: int  # tasks that ran again
    touched: int


def build_all(tool: Tool) -> Run | None:
    """The first build, timed."""
    say(f"  first build of {tool.name}")
    done = run(tool.command)
    return None if tool.is_built else done


def measured(built: Sequence[tuple[Tool, Run | None]], runs: int) -> list[Row]:
    """Every scenario over all tools in turn. Those of which few runs are wanted, because one takes long, come
    behind the others: what they read and write would be in the way of whose turn is next."""
    time.sleep(SETTLED)
    wanted = {tool.name: min(runs, tool.runs) for tool, _ in built}
    found: dict[str, dict[str, list[Run]]] = {}
    for scenario, change in CHANGES.items():
        say(f"  {scenario}")
        commands = {tool.name: partial(_changed, tool, change) for tool, _ in built}
        found[scenario] = {}
        for count in sorted(set(wanted.values()), reverse=True):
            group = {name: command for name, command in commands.items() if wanted[name] == count}
            found[scenario] |= interleaved(group, wanted)
    return [
        Row(
            tool,
            full,
            found["no-op"][tool.name],
            found["edit one"][tool.name],
            found["touch one"][tool.name],
            _counted(tool, tool.edit, runs + 1),
            _counted(tool, tool.touch, 0),
        )
        for tool, full in built
    ]


def _nothing(tool: Tool, number: int) -> None:
    pass


CHANGES: dict[str, Callable[[Tool, int], None]] = {
    "no-op": _nothing,
    "edit one": lambda tool, number: tool.edit(number),
    "touch one": lambda tool, number: tool.touch(number),
}


def _changed(tool: Tool, change: Callable[[Tool, int], None], number: int) -> Run:
    change(tool, number)
    return run(tool.command)


def _counted(tool: Tool, change: Callable[[int], None], number: int) -> int:
    change(number)
    return tool.rerun()


def compare(
    count: int, peers: dict[str, Peer], folder: Path, runs: int, with_real: bool
) -> tuple[list[Row], list[str]]:
    """The rows for graphs of `count` tasks, and notes on who is missing."""
    tasks = layered(count)
    notes = [f"{peer.name} is left out at {count:,} tasks" for peer in peers.values() if count > peer.most]
    chosen = [tools.alone(tasks, folder / f"{count}-alone")]
    chosen += [
        tools.peer_tool(peer, tasks, folder / f"{count}-{peer.name}")
        for peer in peers.values()
        if count <= peer.most
    ]
    if with_real:
        chosen.append(tools.real(count, folder / f"{count}-real"))
    return measured([(tool, build_all(tool)) for tool in chosen], runs), notes


HEAD = (
    "builder", "tasks", "no-op ms", "(range)", "edit one ms", "(tasks)", "touch one ms", "(tasks)",
    "first build, ms a task", "peak MB of a no-op", "no-op : ninja's", "edit : ninja's",
)  # fmt: skip


def rendered(rows: Sequence[Row]) -> list[str]:
    """The table."""
    return table.table(HEAD, [_cells(row, _baseline(row, rows)) for row in rows])


def _baseline(row: Row, rows: Sequence[Row]) -> Row | None:
    wanted = ("ninja", row.tool.count)
    return next((other for other in rows if (other.tool.name, other.tool.count) == wanted), None)


def _cells(row: Row, baseline: Row | None) -> list[str]:
    no_op, edit, touch = middle(row.no_op), middle(row.edit), middle(row.touch)
    peak = f"{no_op.peak_mb:.0f}" if no_op.peak_mb > SMALLEST else f"< {SMALLEST:.0f}"
    return [
        row.tool.name,
        f"{row.tool.count:,}",
        table.milliseconds(no_op.seconds),
        spread(row.no_op),
        table.milliseconds(edit.seconds),
        str(row.edited),
        table.milliseconds(touch.seconds),
        str(row.touched),
        table.milliseconds(row.full.seconds / row.tool.count) if row.full else "not measured",
        peak,
        table.ratio(no_op.seconds, middle(baseline.no_op).seconds if baseline else None),
        table.ratio(edit.seconds, middle(baseline.edit).seconds if baseline else None),
    ]


def say(text: str) -> None:
    """Progress, beside the tables."""
    print(text, file=sys.stderr, flush=True)
