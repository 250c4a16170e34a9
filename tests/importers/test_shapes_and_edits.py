"""Shapes of inputs that a file leaves open, where edits rename, lay out or cut off those inputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from modelbuild import importers
from modelbuild.errors import ModelbuildError

SHAPE = (1, 3, 6, 8)
RENAME = {"rename": {"x": "image"}}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A convolution and a Relu of [n, 3, h, 8]."""
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], "conv"),
        helper.make_node("Relu", ["a"], ["y"], "act"),
    ]
    weight = numpy_helper.from_array(np.ones((4, 3, 1, 1), np.float32), "w")
    ports = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, "h", 8])]
    made = [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    graph = helper.make_graph(nodes, "net", ports, made, [weight])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, str(tmp_path / "m.onnx"))
    return tmp_path / "m.onnx"


@pytest.mark.parametrize(
    ("given", "edits", "inputs"),
    [
        ({"x": SHAPE}, [RENAME], {"image": SHAPE}),
        ({"image": SHAPE}, [RENAME], {"image": SHAPE}),
        ({"image": SHAPE}, [{"rename": {"x": "b"}}, {"rename": {"b": "image"}}], {"image": SHAPE}),
        ({"x": SHAPE, "image": SHAPE}, [RENAME], {"image": SHAPE}),
        ({"x": SHAPE}, [{"layout": {"x": "NHWC"}}], {"x": (1, 6, 8, 3)}),
        ({"x": SHAPE}, [{"shape": {"x": [1, 3, 12, 8]}}], {"x": (1, 3, 12, 8)}),
        ({"x": SHAPE}, [{"cut": {"inputs": ["a"]}}], {"a": (1, 4, 6, 8)}),
        ({"x": SHAPE, "a": (1, 4, 6, 8)}, [{"cut": {"inputs": ["a"]}}], {"a": (1, 4, 6, 8)}),
    ],
)
def test_a_shape_is_of_the_sources_input(
    path: Path, given: Any, edits: list[dict[str, Any]], inputs: dict[str, tuple[int, ...]]
) -> None:
    graph = importers.load(path, given, edits)
    assert {name: graph.shapes[name] for name in graph.inputs} == inputs


@pytest.mark.parametrize(
    ("given", "edits", "words"),
    [
        ({"x": SHAPE, "image": (1, 3, 4, 8)}, [RENAME], "the input `x` is given two shapes, also as `image`"),
        ({"x": SHAPE, "q": SHAPE}, [RENAME], "no input `q`"),
        ({"x": SHAPE, "a": (1, 4, 6, 7)}, [{"cut": {"inputs": ["a"]}}], "`a` is not the one that it has"),
    ],
)
def test_shapes_that_are_no_inputs_are_told(
    path: Path, given: Any, edits: list[dict[str, Any]], words: str
) -> None:
    with pytest.raises(ModelbuildError, match=words):
        importers.load(path, given, edits)
