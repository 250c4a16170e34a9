"""What is known of the file that a graph came from; it travels with the graph as metadata."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import asdict, dataclass, field
from typing import Any

from modelbuild.graph.model import Graph

KEY = "modelbuild.source"


@dataclass
class Source:
    """The facts of import.json's `source`; what a format lacks is left out there."""

    format: str
    producer: str
    opset: int  # of ONNX files only, as is `ir_version`; 0 elsewhere
    ir_version: int
    nodes: int
    comparable: bool = True  # whether the graph has the file's own precision and borders
    quantized: bool = False  # whether it has so but for the file's quantization, which is kept beside it
    notes: list[str] = field(default_factory=list)  # what the import changed, in sentences
    # Input or output -> the file's own layout, where the graph's is channels-first and the file's not: NHWC
    layouts: dict[str, str] = field(default_factory=dict)
    # Input or output -> the file's own element type, where it is another than the graph's: uint8
    dtypes: dict[str, str] = field(default_factory=dict)

    def attach(self, graph: Graph) -> None:
        """Writes this into the graph's metadata."""
        lacking = {"opset": 0, "ir_version": 0, "layouts": {}, "dtypes": {}, "quantized": False}
        facts = {name: value for name, value in asdict(self).items() if lacking.get(name) != value}
        graph.metadata[KEY] = json.dumps(facts, sort_keys=True)


def forget_layouts(graph: Graph, names: Collection[str]) -> None:
    """Takes `names` out of the record: they have another layout than the file's now, by declaration."""
    found = source_of(graph)
    if "layouts" in found:
        kept = {name: layout for name, layout in found.pop("layouts").items() if name not in names}
        graph.metadata[KEY] = json.dumps({**found, **({"layouts": kept} if kept else {})}, sort_keys=True)


def source_of(graph: Graph) -> dict[str, Any]:
    """The object `source` of import.json: the fields of `Source` that the format has."""
    found = json.loads(graph.metadata[KEY])
    assert isinstance(found, dict)
    return found


def layouts_of(graph: Graph) -> dict[str, str]:
    """Input or output -> the layout that the source file has for it (NHWC), where the graph's is another."""
    found = source_of(graph).get("layouts", {}) if KEY in graph.metadata else {}
    return {str(name): str(layout) for name, layout in found.items()}
