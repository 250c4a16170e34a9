"""The smallest graphs that show something, and what every pass must keep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from modelbuild.graph import guard, onnx_io, shapes
from modelbuild.graph.model import Graph, Node
from modelbuild.graph.passes import PASSES
from modelbuild.graph.rewrite import copied

Step = tuple[Any, ...]  # (op, inputs, output or outputs, attributes)


def graph(
    steps: Sequence[Step], constants: Mapping[str, Any] | None = None, **inputs: Sequence[int]
) -> Graph:
    """A graph of `steps`; its output is the last step's. Without `inputs` it has `x` [1, 2, 4, 4]."""
    given = inputs or {"x": (1, 2, 4, 4)}
    nodes = []
    for index, (op, names, made, *more) in enumerate(steps):
        outputs = [made] if isinstance(made, str) else list(made)
        label = f"{op.lower()}_{index}"
        nodes.append(Node(op, label, names.split(), outputs, dict(more[0] if more else {}), "", (label,)))
    arrays = {name: _array(value) for name, value in (constants or {}).items()}
    last = steps[-1][2]
    result = Graph("small", nodes, list(given), [last] if isinstance(last, str) else list(last), arrays)
    for node in nodes:
        node.inputs = ["" if name == "_" else name for name in node.inputs]
    result.shapes = {name: tuple(shape) for name, shape in given.items()}
    result.dtypes = dict.fromkeys(given, np.dtype(np.float32))
    shapes.infer(result)
    return result


def numbers(*shape: int, seed: int = 1, low: float = -1.0) -> Any:
    """Reproducible float32 values in [low, 1)."""
    return np.random.default_rng(seed).uniform(low, 1, shape).astype(np.float32)


def normalization(channels: int = 2) -> dict[str, Any]:
    """Parameters of a BatchNormalization: scale, bias, mean, variance."""
    names = ("scale", "bias", "mean", "variance")
    return {
        name: numbers(channels, seed=seed, low=0.2 if name == "variance" else -1.0)
        for seed, name in enumerate(names)
    }


def after(name: str, before: Graph, *numbers: int) -> Graph:
    """`before` after the pass: same outputs, shapes still true, a second run finds nothing."""
    result = copied(before)
    changes = PASSES[name].run(result, *numbers)
    assert changes > 0
    _agree(before, result)
    again = copied(result)
    assert PASSES[name].run(again, *numbers) == 0
    assert onnx_io.to_bytes(again) == onnx_io.to_bytes(result)
    return result


def untouched(name: str, before: Graph, *numbers: int) -> None:
    """Asserts that the pass leaves the graph as it is."""
    result = copied(before)
    assert PASSES[name].run(result, *numbers) == 0
    assert onnx_io.to_bytes(result) == onnx_io.to_bytes(before)


def ops(found: Graph) -> list[str]:
    """The operators in order."""
    return [node.op for node in found.nodes]


def only(found: Graph, op: str) -> Node:
    """The one node of that operator."""
    nodes = [node for node in found.nodes if node.op == op]
    assert len(nodes) == 1
    return nodes[0]


def _agree(before: Graph, result: Graph) -> None:
    inferred = copied(result)
    shapes.infer(inferred)
    made = [name for node in result.nodes for name in node.outputs if name]
    assert {name: result.shapes[name] for name in made} == {name: inferred.shapes[name] for name in made}
    assert {name: result.dtypes[name] for name in made} == {name: inferred.dtypes[name] for name in made}
    guard.check(before, result)


def _array(value: Any) -> Any:
    array = np.asarray(value)
    return array.astype(np.float32) if array.dtype == np.float64 else array
