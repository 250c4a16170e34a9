"""One builder on one graph in one folder, whoever it is: how to run it, what to change, what ran again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import manifests
from bench.layers import Task, edited, write_sources
from bench.measure import Command
from bench.peers import Peer, prepared

ROOT = Path(__file__).resolve().parent.parent
OURS = {"PYTHONPATH": str(ROOT)}  # what lies beside the bench is measured, whatever is installed
ALONE = "modelbuild, the builder alone"
REAL = "modelbuild build, real models"


@dataclass(frozen=True)
class Tool:
    """`edit` changes the bytes of one source, another way each time; `source` is its path; `rerun` builds
    once, unmeasured, and says how many tasks ran."""

    name: str
    count: int
    command: Command
    source: Path
    edit: Callable[[int], None]
    rerun: Callable[[], int]
    runs: int = sys.maxsize
    is_built: bool = False  # what a first build leaves is there already, and it is not measured

    def touch(self, _: int) -> None:
        """Gives the source a new time and the bytes that it has."""
        os.utime(self.source)


def peer_tool(peer: Peer, tasks: Sequence[Task], folder: Path) -> Tool:
    """A peer on the graph of `layers`."""
    write_sources(list(tasks), folder)
    prepared(peer, tasks, folder)
    command = Command(peer.words, folder, peer.environment)

    def rerun() -> int:
        before = _times(folder)
        _run(command)
        return sum(before.get(name) != time for name, time in _times(folder).items())

    source = folder / edited(list(tasks))
    return Tool(
        peer.name, len(tasks), command, source, _line(source), rerun, peer.runs, peer.pretend is not None
    )


def alone(tasks: Sequence[Task], folder: Path) -> Tool:
    """Our builder, without anything of models, on the same graph."""
    write_sources(list(tasks), folder)
    words = (sys.executable, "-P", "-m", "bench.trivial", str(len(tasks)))
    command = Command(words, folder, OURS)
    source = folder / edited(list(tasks))
    return Tool(ALONE, len(tasks), command, source, _line(source), lambda: _count(json.loads(_run(command))))


def real(actions: int, folder: Path) -> Tool:
    """The whole command on a manifest of about so many actions."""
    models = manifests.models_for(actions)
    manifests.write(folder, models)
    command = Command((*modelbuild(), "build", "-q"), folder, OURS)
    counting = Command((*modelbuild(), "build", "--json"), folder, OURS)

    def edit(number: int) -> None:
        manifests.write_model(folder, models - 1, models + number)

    def rerun() -> int:
        return _count(json.loads(_run(counting))["actions"])

    return Tool(REAL, actions, command, folder / manifests.model_path(models - 1), edit, rerun)


def modelbuild() -> tuple[str, ...]:
    """The command as users have it."""
    script = Path(sys.executable).with_name("modelbuild")
    return (str(script),) if script.exists() else (sys.executable, "-m", "modelbuild")


def _count(found: Mapping[str, Any]) -> int:
    return int(found["run"])


def _line(source: Path) -> Callable[[int], None]:
    def edit(number: int) -> None:
        source.write_text(f"edit {number}\n", encoding="ascii")

    return edit


def _times(folder: Path) -> dict[str, int]:
    return {entry.name: entry.stat().st_mtime_ns for entry in os.scandir(folder / "out")}


def _run(command: Command) -> str:
    done = subprocess.run(
        command.words,
        cwd=command.folder,
        env={**os.environ, **command.environment},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command.words)} ended with {done.returncode}:\n{done.stderr[-4000:]}")
    return done.stdout
