"""The plan as a graph: actions, what they read of each other, and the user's files."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from modelbuild.build.action import Action, FileInput, OutputOf
from modelbuild.build.plan import plan
from modelbuild.project.goals import goals
from modelbuild.project.project import Project
from modelbuild.stages.request import SAMPLE_ROLES, SHARED

LEVELS = ("action", "model", "stage")
MANY = 100  # actions, beyond which a picture is no help
# of several actions in one node, the state that matters most
_WORST = ("failed", "out of date", "unknown", "up to date")


@dataclass(frozen=True)
class Node:
    """`kind` is action, model, package, stage, file or samples. `actions` are those that the node stands for,
    `files` the user's, relative to the manifest; `state` is None where nobody asked."""

    kind: str
    name: str
    actions: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    state: str | None = None

    @property
    def id(self) -> str:
        """Unique in a graph."""
        return f"{self.kind}:{self.name}"

    def to_json(self) -> dict[str, Any]:
        """`{id, kind, name, actions, files, state}`."""
        return {
            "id": self.id,
            "kind": self.kind,
            "name": self.name,
            "actions": list(self.actions),
            "files": list(self.files),
            "state": self.state,
        }


@dataclass(frozen=True)
class Edge:
    """`reader` reads what `source` makes or is; ids of nodes. `soft`: it does with the failure, too."""

    source: str
    reader: str
    soft: bool = False


@dataclass(frozen=True)
class Graph:
    """Nodes before their readers, in an order that only the manifest decides."""

    level: str
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]

    def to_json(self) -> dict[str, Any]:
        """The object of `graph --json`."""
        return {
            "level": self.level,
            "nodes": [node.to_json() for node in self.nodes],
            "edges": [{"from": edge.source, "to": edge.reader, "soft": edge.soft} for edge in self.edges],
        }


def graph(
    project: Project, names: Sequence[str] = (), level: str | None = None, *, status: bool = False
) -> Graph:
    """The graph of what a build of the selection needs; with `status`, what the next build would find.

    Without a level: a node an action, or, of more than MANY actions, a node a model and package."""
    wanted = goals(project, names)
    actions = plan(project.plan.actions, wanted).actions
    chosen = level or ("action" if len(actions) <= MANY else "model")
    grouped = {name: _group(name, chosen) for name in actions}
    sets = _SetNames(project)
    edges = dict[tuple[str, str], bool]()
    sources = dict[str, Node]()
    for name, action in actions.items():
        reader = grouped[name].id
        for node in _files(action, sets):
            sources[node.id] = node
            edges[node.id, reader] = False
        for source, soft in _reads(action):
            pair = grouped[source].id, reader
            if pair[0] != reader:
                edges[pair] = soft and edges.get(pair, True)
    states = _states(project, wanted) if status else {}
    made = _merged(grouped, states)
    ordered = _ordered([*sources.values(), *made], edges)
    place = {node.id: index for index, node in enumerate(ordered)}
    listed = sorted(edges, key=lambda pair: (place[pair[0]], place[pair[1]]))
    return Graph(chosen, ordered, tuple(Edge(*pair, edges[pair]) for pair in listed))


def _group(name: str, level: str) -> Node:
    """The node that an action belongs to, without the node's other actions."""
    owner, stage = name.rsplit(":", 1)
    if level == "action":
        return Node("action", name)
    if level == "stage":
        return Node("stage", stage)
    of_model = "@" in owner or stage in SHARED
    return Node("model", owner) if of_model else Node("package", owner.split("/")[0])


def _reads(action: Action) -> Iterator[tuple[str, bool]]:
    """The actions that it reads, and whether softly."""
    for source in action.inputs.values():
        if isinstance(source, OutputOf):
            yield source.action, False
    for source in action.soft_inputs.values():
        yield source.action, True


def _files(action: Action, sets: _SetNames) -> Iterator[Node]:
    """The user's files that an action reads; its samples, which may be thousands, are one node."""
    samples = []
    for role, source in sorted(action.inputs.items()):
        if isinstance(source, FileInput) and role.startswith(SAMPLE_ROLES):
            samples.append(source.path)
        elif isinstance(source, FileInput):
            yield Node("file", source.path, files=(source.path,))
    if samples:
        files = tuple(dict.fromkeys(samples))
        yield Node("samples", f"{sets.of(files)} ({len(files)})", files=files)


class _SetNames:
    """Which sample set files were chosen from."""

    def __init__(self, project: Project) -> None:
        requests = project.plan.models.values()
        chosen = [found for one in requests for found in (one.calibration, one.evaluation) if found]
        self._exact = dict[frozenset[str], str]()
        self._first = dict[str, str]()
        for samples in {id(found): found for found in chosen}.values():
            files = frozenset(path for sample in samples.files for path in sample.values())
            self._exact.setdefault(files, samples.name)
            for path in files:
                self._first.setdefault(path, samples.name)

    def of(self, files: Sequence[str]) -> str:
        """The set that was chosen from; of part of a choice, one that holds its first file."""
        return self._exact.get(frozenset(files)) or self._first[files[0]]


def _states(project: Project, wanted: Sequence[str]) -> dict[str, str]:
    found = project.builder.status(project.plan.actions, wanted)
    return {name: status.state for name, status in found.items()}


def _merged(grouped: Mapping[str, Node], states: Mapping[str, str]) -> list[Node]:
    members = dict[Node, list[str]]()
    for name, node in grouped.items():
        members.setdefault(node, []).append(name)
    return [
        replace(node, actions=tuple(names), state=_worst([states[name] for name in names if name in states]))
        for node, names in members.items()
    ]


def _worst(states: Sequence[str]) -> str | None:
    return min(states, key=_WORST.index) if states else None


def _ordered(nodes: Sequence[Node], edges: Mapping[tuple[str, str], bool]) -> tuple[Node, ...]:
    """Sources before readers; of those that could come next, the one first in `nodes`."""
    position = {node.id: index for index, node in enumerate(nodes)}
    waiting = dict.fromkeys(position, 0)
    readers = dict[str, list[str]]()
    for source, reader in edges:
        waiting[reader] += 1
        readers.setdefault(source, []).append(reader)
    ready = [position[id] for id, count in waiting.items() if not count]
    found = list[Node]()
    while ready:
        found.append(nodes[heapq.heappop(ready)])
        for reader in readers.get(found[-1].id, ()):
            waiting[reader] -= 1
            if not waiting[reader]:
                heapq.heappush(ready, position[reader])
    return tuple(found)
