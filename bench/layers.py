"""The graph that every builder is given: tasks in ten layers, three inputs and one output each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

LAYERS = 10


@dataclass(frozen=True)
class Task:
    """Concatenates its inputs, paths below the folder, into its output."""

    name: str
    inputs: tuple[str, str, str]
    output: str


def layered(count: int) -> list[Task]:
    """`count` tasks, inputs first: each reads a source of its own and two outputs of the layer before."""
    width = -(-count // LAYERS)
    tasks: list[Task] = []
    for index in range(count):
        below = index - width
        if below < 0:
            others = ("source/a", "source/b")
        else:
            beside = below + 1 if (below + 1) % width else below + 1 - width
            others = (tasks[below].output, tasks[beside].output)
        name = f"t{index:05d}"
        tasks.append(Task(name, (f"source/{name}", *others), f"out/{name}"))
    return tasks


def write_sources(tasks: list[Task], folder: Path) -> None:
    """The sources, and the empty folder of the outputs."""
    for name in ("source", "out"):
        (folder / name).mkdir(parents=True)
    for path in ("source/a", "source/b", *(task.inputs[0] for task in tasks)):
        (folder / path).write_text(f"{path}\n", encoding="ascii")


def edited(tasks: list[Task]) -> str:
    """The source to edit: that of the last task, so that one task runs again."""
    return tasks[-1].inputs[0]
