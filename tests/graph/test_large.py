"""Graphs beyond protobuf's 2 GB: the same numbers, and memory for about one copy of the weights."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from modelbuild import importers
from modelbuild.errors import ModelbuildError
from modelbuild.graph import guard, large, onnx_io
from modelbuild.graph import session as session_module
from modelbuild.graph.model import Graph
from modelbuild.graph.normalise import normalise
from modelbuild.graph.session import FloatSession
from tests.graph import small

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def limited(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if one protobuf held 4 kB."""
    monkeypatch.setattr(large, "MAX_BYTES", 4096)
    monkeypatch.setattr(session_module, "_MOST_COPIED", 4096)


def network() -> Graph:
    steps = [("MatMul", "x w", "a"), ("Add", "a b", "c"), ("Relu", "c", "y")]
    constants = {"w": small.numbers(30, 70), "b": small.numbers(70)}
    return small.graph(steps, constants, x=(1, 30))


def test_a_large_graph_survives_writing_and_reading(tmp_path: Path, limited: None) -> None:
    before = network()
    onnx_io.write(before, tmp_path / "a")
    onnx_io.write(before, tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert large.is_large(tmp_path / "a")
    after = onnx_io.read(tmp_path / "a")
    assert after.shapes == before.shapes and [n.name for n in after.nodes] == [n.name for n in before.nodes]
    assert all(np.array_equal(after.constants[name], value) for name, value in before.constants.items())
    assert not after.constants["w"].ctypes.data % 64
    assert guard.check(before, normalise(after)[0]).worst.error <= guard.BOUND


def test_a_large_graph_runs_as_a_small_one(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = network()
    sample = guard.random_inputs(graph, 1)[0]
    expected = FloatSession(graph).run(sample)["y"]
    monkeypatch.setattr(session_module, "_MOST_COPIED", 4096)
    session = FloatSession(graph)
    assert list(session.inputs) == ["x"]
    assert np.allclose(session.run(sample)["y"], expected, atol=1e-5)
    assert list(FloatSession(graph, "all").run(sample)) == ["y", "a", "c"]


def test_a_small_graph_is_plain_onnx(tmp_path: Path) -> None:
    onnx_io.write(network(), tmp_path / "m.onnx")
    assert not large.is_large(tmp_path / "m.onnx")
    onnx.checker.check_model(str(tmp_path / "m.onnx"))
    assert onnx_io.export(network(), tmp_path / "n.onnx") == [tmp_path / "n.onnx"]


def test_others_get_external_data(tmp_path: Path, limited: None) -> None:
    path, graph = tmp_path / "m.onnx", network()
    assert onnx_io.export(graph, path) == [path, tmp_path / "m.onnx.data"]
    onnx.checker.check_model(str(path))
    assert guard.check(path, graph).worst.error < 1e-6
    assert importers.load(path).constants.keys() == graph.constants.keys()


def test_a_damaged_file_is_named(tmp_path: Path, limited: None) -> None:
    path = tmp_path / "m"
    onnx_io.write(network(), path)
    whole = path.read_bytes()
    for length in (8, 12, 40, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(ModelbuildError, match="graph file is damaged"):
            onnx_io.read(path)


_WIDTH, _LAYERS = 5792, 18  # 18 matrices of 134 MB: 2.4 GB
_CHAIN = """
import resource, sys
from pathlib import Path
from modelbuild import importers
from modelbuild.graph import guard, large, onnx_io
from modelbuild.graph import session as session_module
from modelbuild.graph.normalise import normalise

folder, limit = Path(sys.argv[1]), float(sys.argv[2])
import onnxruntime
used = int(Path("/proc/self/statm").read_text().split()[5]) * 4096
resource.setrlimit(resource.RLIMIT_DATA, (used + int(limit), used + int(limit)))
if sys.argv[3] == "import":
    graph = importers.load(folder / "m.onnx")
    importers.check(folder / "m.onnx", graph)
    onnx_io.write(graph, folder / "imported")
else:
    source = onnx_io.read(folder / "imported")
    graph, _ = normalise(source)
    guard.check(source, graph)
    onnx_io.write(graph, folder / "normalised")
assert len(graph.constants) == 18 and large.weights(graph.constants) > 2**31
"""


@pytest.mark.long
def test_more_than_two_gigabytes(tmp_path: Path) -> None:
    """Import and normalise, each within 1.4 times the weights of memory of its own."""
    size = _WIDTH * _WIDTH * 4
    names = [f"t{index}" for index in range(_LAYERS + 1)]
    nodes, tensors = [], []
    weights = np.memmap(tmp_path / "w.bin", np.float32, "w+", shape=(_LAYERS, _WIDTH, _WIDTH))
    for index in range(_LAYERS):
        nodes.append(helper.make_node("MatMul", [names[index], f"w{index}"], [names[index + 1]]))
        tensor = TensorProto(name=f"w{index}", data_type=1, dims=[_WIDTH] * 2, data_location=1)
        for key, value in (("location", "w.bin"), ("offset", str(index * size)), ("length", str(size))):
            tensor.external_data.add(key=key, value=value)
        tensors.append(tensor)
        weights[index, np.arange(_WIDTH), np.arange(_WIDTH)] = 1 + index / 10
        weights[index, 0] = 0.01
    weights.flush()
    ports = [helper.make_tensor_value_info(name, 1, [1, _WIDTH]) for name in (names[0], names[-1])]
    graph = helper.make_graph(nodes, "g", ports[:1], ports[1:], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    for stage in ("import", "normalise"):
        command = [sys.executable, "-c", _CHAIN, str(tmp_path), str(1.4 * size * _LAYERS), stage]
        subprocess.run(command, check=True, cwd=REPOSITORY)
