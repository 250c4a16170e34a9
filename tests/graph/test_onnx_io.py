"""Graph <-> ONNX: nothing lost, and the same bytes every time."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from random import Random

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from modelbuild import importers
from modelbuild.errors import ModelbuildError
from modelbuild.graph import onnx_io
from tests.graph.random_models import random_model
from tests.graph.small import graph, numbers


def test_round_trip_keeps_nodes_attributes_origin_and_metadata(tmp_path: Path) -> None:
    before = graph(
        [("Conv", "x w _", "a", {"pads": [1, 0, 1, 0]}), ("Elu", "a", "y", {"alpha": 0.25})],
        {"w": numbers(3, 2, 3, 3)},
    )
    before.nodes[0].origin = ("stem", "stem/bn")
    before.metadata = {"b": "2", "a": "1"}
    onnx_io.write(before, tmp_path / "m.onnx")
    found = onnx_io.read(tmp_path / "m.onnx")
    assert [node.origin for node in found.nodes] == [("stem", "stem/bn"), ("elu_1",)]
    assert found.nodes[0].inputs == ["x", "w", ""]
    assert found.nodes[0].attributes == {"pads": [1, 0, 1, 0]}
    assert found.nodes[1].attributes == {"alpha": 0.25}
    assert found.metadata == before.metadata
    assert found.shapes == before.shapes and found.dtypes == before.dtypes
    assert np.array_equal(found.constants["w"], before.constants["w"])
    assert onnx_io.to_bytes(found) == (tmp_path / "m.onnx").read_bytes()


def test_the_file_is_valid_onnx_with_a_type_for_every_tensor() -> None:
    model = onnx_io.to_model(graph([("Relu", "x", "a"), ("Neg", "a", "y")]))
    onnx.checker.check_model(model, full_check=True)
    assert [value.name for value in model.graph.value_info] == ["a"]
    assert model.ir_version == onnx_io.IR_VERSION


def test_bytes_do_not_depend_on_the_hash_seed() -> None:
    code = (
        "import hashlib; from modelbuild.graph import onnx_io\n"
        "from tests.graph.small import graph, normalization\n"
        "g = graph([('BatchNormalization', 'x scale bias mean variance', 'y')], normalization())\n"
        "g.metadata = {'z': '1', 'a': '2'}; print(hashlib.sha256(onnx_io.to_bytes(g)).hexdigest())"
    )
    root = Path(__file__).resolve().parents[2]
    digests = {
        subprocess.run(
            [sys.executable, "-c", code], cwd=root, env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(root)},
            capture_output=True, text=True, check=True,
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(digests) == 1


def test_nodes_are_sorted_and_named_and_constants_taken() -> None:
    nodes = [
        helper.make_node("Neg", ["a"], ["y"]),
        helper.make_node("Add", ["x", "c"], ["a"], name="n"),
        helper.make_node("Constant", [], ["c"], value_floats=[1.0, 2.0]),
        helper.make_node("Neg", ["x"], ["z"]),
        helper.make_node("Relu", ["x"], ["r"], name="n"),
    ]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in "xyz"]
    found = onnx_io.from_model(helper.make_model(helper.make_graph(nodes, "g", values[:1], values[1:])))
    assert [node.name for node in found.nodes] == ["n", "Neg", "Neg_1", "n_1"]
    assert found.constants["c"].tolist() == [1.0, 2.0]


def test_weights_that_share_no_layout_come_back_in_order(tmp_path: Path) -> None:
    before = graph([("Add", "x c", "y")], {"c": numbers(4, 4).T})
    onnx_io.write(before, tmp_path / "m.onnx")
    assert np.array_equal(onnx_io.read(tmp_path / "m.onnx").constants["c"], numbers(4, 4).T)


@pytest.mark.parametrize("data", [b"", b"garbage", json.dumps({}).encode()])
def test_a_file_that_is_none_is_an_error(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "m.onnx").write_bytes(data)
    with pytest.raises(ModelbuildError):
        onnx_io.read(tmp_path / "m.onnx")


@pytest.mark.parametrize("seed", range(30))
def test_the_bytes_are_those_that_protobuf_writes(tmp_path: Path, seed: int) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(random_model(Random(seed)).SerializeToString())
    graph = importers.load(path)
    graph.constants |= {"none": np.zeros((0, 3), np.int64), "number": np.array(7), "wide": numbers(90, 200)}
    expected = onnx_io.to_model(graph).SerializeToString(deterministic=True)
    assert onnx_io.to_bytes(graph) == expected
    onnx_io.write(graph, path)
    assert path.read_bytes() == expected
