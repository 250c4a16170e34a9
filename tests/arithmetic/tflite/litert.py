"""TFLite's own runtime as the judge, with the kernels that are its definition."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from modelbuild.graph.model import Graph
from modelbuild.importers.source import layouts_of

Arrays = dict[str, Any]


def reference(
    data: bytes, feeds: Mapping[str, Any], inner: Sequence[str] = (), kernels: str = "BUILTIN_REF"
) -> Arrays:
    """Outputs, and tensors called `inner`, by the reference kernels or others, in the file's layout."""
    package = pytest.importorskip(
        "ai_edge_litert.interpreter", reason="ai-edge-litert, TFLite's runtime, is not installed"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that keeping all tensors takes memory
        interpreter = package.Interpreter(
            model_content=data,
            num_threads=1,
            experimental_op_resolver_type=getattr(package.OpResolverType, kernels),
            experimental_preserve_all_tensors=bool(inner),
        )
    interpreter.allocate_tensors()
    for detail in interpreter.get_input_details():
        interpreter.set_tensor(detail["index"], feeds[detail["name"]])
    interpreter.invoke()
    wanted = [item for item in interpreter.get_tensor_details() if item["name"] in inner]
    details = (*interpreter.get_output_details(), *wanted)
    return {item["name"]: interpreter.get_tensor(item["index"]) for item in details}


def in_own_layout(
    graph: Graph, run: Callable[[Graph, Mapping[str, Any]], Arrays], feeds: Mapping[str, Any]
) -> Arrays:
    """`run(graph, feeds)` with feeds and outputs in the file's layout."""
    layouts = layouts_of(graph)
    moved = {n: np.moveaxis(v, -1, 1) if n in layouts else v for n, v in feeds.items()}
    found = run(graph, moved)
    return {n: np.moveaxis(v, 1, -1) if n in layouts else v for n, v in found.items()}
