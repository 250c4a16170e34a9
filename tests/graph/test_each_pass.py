"""Every pass by itself, on random models as imported and in their normal form."""

from __future__ import annotations

import tempfile
from pathlib import Path
from random import Random

import pytest

from modelbuild import importers
from modelbuild.graph import guard, onnx_io, shapes
from modelbuild.graph.model import Graph
from modelbuild.graph.normalise import normalise
from modelbuild.graph.passes import PASSES
from modelbuild.graph.rewrite import copied
from tests.graph.random_models import random_model
from tests.graph.test_normalise_fuzz import runs

LIMITS = {"dilated_to_dense": (11, 3), "large_kernel_to_small": (11, 2), "split_global_pool": (16, 2)}
WHOLE_GRAPH = {"clean_names", "fold_constants", "remove_dead_nodes"}  # names, shapes and use are of all nodes


def forms(seed: int) -> list[Graph]:
    """A random model as it is imported, and normalised; none where onnxruntime does not take it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        path.write_bytes(random_model(Random(seed)).SerializeToString())
        if not runs(path):
            return []
        graph = importers.load(path)
    return [form for form in (graph, normalise(graph)[0]) if runs(form)]


def check(name: str, before: Graph, *numbers: int) -> None:
    """The pass keeps what the model computes, tells true shapes and types, and finds nothing twice."""
    result = copied(before)
    if not PASSES[name].run(result, *numbers):
        assert onnx_io.to_bytes(result) == onnx_io.to_bytes(before), name
        return
    again = copied(result)
    assert PASSES[name].run(again, *numbers) == 0, name
    known = copied(result)
    shapes.infer(known)
    for tensor in [tensor for node in result.nodes for tensor in node.outputs if tensor]:
        assert result.shapes[tensor] == known.shapes[tensor], (name, tensor)
        assert result.dtypes[tensor] == known.dtypes[tensor], (name, tensor)
    guard.check(before, result, what=f"the pass {name}")


def leaves_foreign_nodes(name: str, before: Graph, dice: Random) -> None:
    """Operators of another domain mean what that says, whatever they are called."""
    foreign = copied(before)
    for node in foreign.nodes:
        node.domain = "elsewhere"
    assert PASSES[name].run(foreign) == 0, name
    one = copied(before)
    chosen = dice.choice(one.nodes)
    chosen.domain = "elsewhere"
    op, attributes, count = chosen.op, dict(chosen.attributes), len(chosen.inputs)
    PASSES[name].run(one)
    left = [node for node in one.nodes if node.domain == "elsewhere"]
    assert [(node.op, node.attributes, len(node.inputs)) for node in left] == [(op, attributes, count)], name


def check_all(seed: int) -> None:
    for graph in forms(seed):
        for name in PASSES:
            for limit in LIMITS.get(name, (None,)):
                check(name, graph, *(() if limit is None else (limit,)))
            if name not in WHOLE_GRAPH and graph.nodes:
                leaves_foreign_nodes(name, graph, Random(seed))


def test_each_pass_by_itself() -> None:
    for seed in range(25):
        check_all(seed)


@pytest.mark.long
@pytest.mark.parametrize("block", range(10))
def test_each_pass_by_itself_on_many(block: int) -> None:
    for seed in range(block * 100, block * 100 + 100):
        check_all(seed)
