"""A model whose file is opened by importing it (Keras, Caffe), as `inspect` shows it: as ONNX, NCHW."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from modelbuild import importers
from modelbuild.graph.model import Graph
from modelbuild.importers.source import source_of


def describe(path: Path, weights: Path | None = None) -> dict[str, Any]:
    """Borders, operators and parameters. Errors: ModelbuildError for what cannot be imported."""
    graph = importers.load(path, None, (), weights)
    source = source_of(graph)
    return {
        "version": None,
        "silicon": None,
        "producer": source["producer"] or None,
        "checksums": [],
        "models": [_model(graph, source)],
    }


def _model(graph: Graph, source: dict[str, Any]) -> dict[str, Any]:
    operators = Counter(node.op for node in graph.nodes)
    return {
        "id": None,
        "name": graph.name,
        "version": None,
        "layers": source["nodes"],
        "layouts": source.get("layouts", {}),
        "inputs": [_port(graph, name) for name in graph.inputs],
        "outputs": [_port(graph, name) for name in graph.outputs],
        "nodes": len(graph.nodes),
        "operators": {name: operators[name] for name in sorted(operators)},
        "parameters": sum(value.size for value in graph.constants.values() if value.dtype.kind == "f"),
    }


def _port(graph: Graph, name: str) -> dict[str, Any]:
    return {"name": name, "dtype": str(graph.dtypes[name]), "shape": list(graph.shapes[name])}
