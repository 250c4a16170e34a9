"""What is known of the file that a graph came from; it travels with the graph as metadata."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from modelbuild.graph.model import Graph

_KEY = "modelbuild.source"


@dataclass
class Source:
    """The facts of import.json's `source`, and `notes`: what the import changed, in sentences."""

    format: str
    producer: str
    opset: int
    ir_version: int
    nodes: int
    comparable: bool = True  # whether the graph has the file's own precision and borders
    notes: list[str] = field(default_factory=list)

    def attach(self, graph: Graph) -> None:
        """Writes this into the graph's metadata."""
        graph.metadata[_KEY] = json.dumps(asdict(self), sort_keys=True)


def source_of(graph: Graph) -> dict[str, Any]:
    """The object `source` of import.json: format, producer, opset, ir_version, nodes, comparable, notes."""
    found = json.loads(graph.metadata[_KEY])
    assert isinstance(found, dict)
    return found
