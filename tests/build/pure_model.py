"""What a build must come to, by pure functions over dicts: the reference that the builder is held to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from stages_of_machine import FAILED, joined, named

from modelbuild.build.action import Action, FileInput, OutputOf

Files = Mapping[str, str]  # name -> content
Key = tuple[Any, ...]


@dataclass(frozen=True)
class Node:
    """An action of the machine. Roles of hard and soft inputs are `d<i>` and `s<i>` of the i-th node."""

    file: str | None
    text: str = ""
    version: str = "1"
    upper: bool = False
    strict: bool = False
    always: bool = False
    discovers: bool = False
    hard: tuple[int, ...] = ()
    soft: tuple[int, ...] = ()

    @property
    def label(self) -> str:
        """By this the runs are counted: nodes that may share a key have one label."""
        return f"{self.text}/{self.upper}/{self.strict}"


@dataclass(frozen=True)
class Expected:
    """How one node ends. `key` is None where none can be had, or nobody can tell; `reason` is what a reader
    of its failure sees, None where that is not the same each time."""

    state: str  # "ok", "failed" or "skipped"
    key: Key | None = None
    text: str = ""
    reason: tuple[Any, ...] | None = ()
    remembered: bool = True


Graph = tuple[Node, ...]


def actions(graph: Graph) -> list[Action]:
    """The builder's form of the graph."""
    return [_action(index, node) for index, node in enumerate(graph)]


def _action(index: int, node: Node) -> Action:
    inputs: dict[str, Any] = {f"d{other}": OutputOf(f"n{other}", "text") for other in node.hard}
    if node.file is not None:
        inputs["x"] = FileInput(node.file)
    return Action(
        f"n{index}",
        "stages_of_machine:run",
        node.version,
        {"label": node.label, "text": node.text, "upper": node.upper, "strict": node.strict},
        inputs,
        {f"s{other}": OutputOf(f"n{other}", "text") for other in node.soft},
        discover="stages_of_machine:discover" if node.discovers else None,
        always=node.always,
    )


def needed(graph: Graph, goals: Iterable[int]) -> set[int]:
    """The nodes that the goals need, themselves among them."""
    waiting, found = list(goals), set()
    while waiting:
        index = waiting.pop()
        if index not in found:
            found.add(index)
            waiting += [*graph[index].hard, *graph[index].soft]
    return found


def evaluate(
    graph: Graph, files: Files, goals: Iterable[int], dying: frozenset[int] = frozenset()
) -> dict[int, Expected]:
    """How each node that is needed ends, if nothing stops the build; `dying` are killed when they run."""
    done: dict[int, Expected] = {}
    for index in sorted(needed(graph, goals)):
        done[index] = _evaluate(index, graph[index], files, done)
        if index in dying and done[index].key is not None:
            done[index] = Expected("failed", reason=None, remembered=False)
    return done


def _evaluate(index: int, node: Node, files: Files, done: Mapping[int, Expected]) -> Expected:
    for other in sorted(node.hard, key=lambda number: f"n{number}"):
        if done[other].state != "ok":
            cause = done[other].reason[1] if done[other].state == "skipped" and done[other].reason else other
            return Expected("skipped", reason=("skipped", cause), remembered=False)
    if node.file is not None and node.file not in files:
        return Expected("failed", reason=("missing", node.file), remembered=False)
    contents = {f"d{other}": done[other].text for other in node.hard}
    if node.file is not None:
        contents["x"] = files[node.file]
    seen: dict[str, Any] = dict(contents)
    for other in node.soft:
        if done[other].state == "ok":
            contents[f"s{other}"] = seen[f"s{other}"] = done[other].text
        else:
            contents[f"s{other}.failure"] = FAILED
            seen[f"s{other}.failure"] = (other, done[other].reason)
    if node.discovers:
        assert node.file is not None
        found = _discover(node.file, files)
        if isinstance(found, Expected):
            return found
        for name in found:
            contents[f"discovered/{name}"] = seen[f"discovered/{name}"] = files[name]
    known = all(done[other].state == "ok" or done[other].reason is not None for other in node.soft)
    key = (node.label, node.version, tuple(sorted(seen.items()))) if known else None
    text = joined(node.text, node.upper, contents)
    if node.strict and "BAD" in text:
        return Expected("failed", key, reason=("bad",))
    return Expected("ok", key, text)


def _discover(file: str, files: Files) -> list[str] | Expected:
    found: list[str] = []
    waiting = [file]
    while waiting:
        content = files[waiting.pop()]
        if "BROKEN" in content:
            return Expected("failed", reason=("broken",), remembered=False)
        new = [name for name in named(content) if name not in found]
        found += dict.fromkeys(new)
        waiting += [name for name in dict.fromkeys(new) if name in files]
    for name in sorted(found):
        if name not in files:
            return Expected("failed", reason=("missing", name), remembered=False)
    return found


@dataclass
class Memory:
    """Which keys the builder knows a result of: `yes`, or `maybe` since something was damaged."""

    known: dict[Key, str] = field(default_factory=dict)

    def doubt(self) -> None:
        """Nobody knows what is still there."""
        self.known = dict.fromkeys(self.known, "maybe")

    def runs(self, graph: Graph, expected: Mapping[int, Expected], retry: bool) -> dict[str, tuple[int, int]]:
        """Label -> the least and the most runs of a build that nothing stops; a key runs once."""
        least: dict[Key, tuple[str, int, int]] = {}
        for index, one in expected.items():
            if one.key is not None and one.remembered:
                again = retry and one.state == "failed"
                state = "no" if again else self.known.get(one.key, "no")
                least[one.key] = (graph[index].label, int(state == "no"), int(state != "yes"))
        counts: dict[str, tuple[int, int]] = {}
        for label, low, high in least.values():
            before = counts.get(label, (0, 0))
            counts[label] = (before[0] + low, before[1] + high)
        return counts
