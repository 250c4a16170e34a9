"""Runs a TFLite file with its own runtime and the imported graph with onnxruntime, in the file's layout."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from modelbuild import importers
from modelbuild.errors import ModelbuildError
from modelbuild.graph import onnx_io
from modelbuild.graph.model import Graph
from modelbuild.importers.source import layouts_of

Arrays = dict[str, Any]
PLAIN = "BUILTIN_WITHOUT_DEFAULT_DELEGATES"
REFERENCE = "BUILTIN_REF"  # the kernels that are TFLite's definition, and that of tflite@1


def runtime(data: bytes, feeds: Mapping[str, Any], inner: Sequence[str] = (), kernels: str = PLAIN) -> Arrays:
    """The outputs of the model in the bytes `data`, and the tensors called `inner`, by the optimized kernels
    or others; skips the test where the runtime is not installed."""
    interpreters = pytest.importorskip(
        "ai_edge_litert.interpreter", reason="ai-edge-litert, TFLite's runtime, is not installed"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that keeping all tensors takes memory
        interpreter = interpreters.Interpreter(
            model_content=data,
            num_threads=1,
            experimental_op_resolver_type=getattr(interpreters.OpResolverType, kernels),
            experimental_preserve_all_tensors=bool(inner),
        )
    interpreter.allocate_tensors()
    for detail in interpreter.get_input_details():
        interpreter.set_tensor(detail["index"], feeds[detail["name"]])
    interpreter.invoke()
    wanted = [item for item in interpreter.get_tensor_details() if item["name"] in inner]
    return {
        item["name"]: interpreter.get_tensor(item["index"])
        for item in (*interpreter.get_output_details(), *wanted)
    }


def imported(data: bytes, folder: Path, **arguments: Any) -> Graph:
    """The graph of the bytes `data`."""
    path = folder / "model.tflite"
    path.write_bytes(data)
    return importers.load(path, **arguments)


def refused(data: bytes, folder: Path, **arguments: Any) -> str:
    """The message, of one line, with which the bytes `data` are refused."""
    path = folder / "model.tflite"
    path.write_bytes(data)
    with pytest.raises(ModelbuildError) as caught:
        importers.load(path, **arguments)
    assert caught.value.exit_code == 2
    assert str(path) in str(caught.value)
    return " ".join(str(caught.value).split())


def run(graph: Graph, feeds: Mapping[str, Any]) -> Arrays:
    """The outputs of `graph`; feeds and outputs have the file's layout."""
    return in_own_layout(graph, _run, feeds)


def in_own_layout(
    graph: Graph, run: Callable[[Graph, Mapping[str, Any]], Arrays], feeds: Mapping[str, Any]
) -> Arrays:
    """`run(graph, feeds)` with feeds and outputs in the file's layout."""
    layouts = layouts_of(graph)
    moved = {n: np.moveaxis(v, -1, 1) if n in layouts else v for n, v in feeds.items() if n in graph.inputs}
    found = run(graph, moved)
    return {n: np.moveaxis(v, 1, -1) if n in layouts else v for n, v in found.items()}


def _run(graph: Graph, feeds: Mapping[str, Any]) -> Arrays:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        onnx_io.to_bytes(graph), options, providers=["CPUExecutionProvider"]
    )
    return dict(zip(graph.outputs, session.run(graph.outputs, dict(feeds)), strict=True))


def random_feeds(graph: Graph, seed: int = 0) -> Arrays:
    """A sample in the file's layout."""
    generator, layouts, feeds = np.random.default_rng(seed), layouts_of(graph), {}
    for name in graph.inputs:
        shape, dtype = graph.shapes[name], graph.dtypes[name]
        if np.issubdtype(dtype, np.integer):
            limits = np.iinfo(dtype)  # type: ignore[type-var]
            value = generator.integers(limits.min, limits.max, shape, dtype, endpoint=True)
        else:
            value = generator.standard_normal(shape).astype(dtype)
        feeds[name] = np.ascontiguousarray(np.moveaxis(value, 1, -1)) if name in layouts else value
    return feeds


def assert_equal(expected: Arrays, found: Arrays, bound: float) -> None:
    """Every output within `bound` of its range, of the same shape and type."""
    assert list(expected) == list(found)
    for name, value in expected.items():
        assert (value.shape, value.dtype) == (found[name].shape, found[name].dtype), name
        a, b = np.asarray(value, np.float64), np.asarray(found[name], np.float64)
        if a.size:
            span = max(float(np.ptp(a)), float(np.abs(a).max()), 1e-6)
            assert np.abs(a - b).max() <= bound * span, name
