"""The bench of graphs counts what is left, and ends with an error where a peer leaves less."""

from __future__ import annotations

from pathlib import Path

import pytest
from onnx import TensorProto, helper, save

from bench import graphs


@pytest.fixture
def models(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    nodes = [helper.make_node("Identity", ["x"], ["a"]), helper.make_node("Relu", ["a"], ["y"])]
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3]) for name in "xy"]
    made = helper.make_graph(nodes, "small", ports[:1], ports[1:])
    save(
        helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8),
        folder / "small.onnx",
    )
    (folder / "wrong.onnx").write_bytes(b"")
    return folder


def test_nodes_before_and_after(models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written = tmp_path / "table.md"
    assert graphs.main(["--models", str(models), "--no-peers", "--output", str(written)]) == 0
    text = capsys.readouterr().out
    assert written.read_text(encoding="utf-8") == text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert rows[0] == "| model | nodes | modelbuild | ms | with guard, ms |"
    assert rows[2].startswith("| small | 2 | 1 | ")
    assert rows[3].startswith("| wrong | 0 | refused | ")


@pytest.mark.parametrize(("left", "code"), [(1, 0), (0, 1)])
def test_a_peer_that_leaves_less(
    models: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], left: int, code: int
) -> None:
    monkeypatch.setattr(graphs, "_installed", lambda scratch, name: name == "onnxslim")
    monkeypatch.setattr(graphs, "_peer", lambda *_: graphs.Result(left, 0.5))
    assert graphs.main(["--models", str(models), "--scratch", str(models)]) == code
    assert ("more nodes than a peer: small" in capsys.readouterr().out) == bool(code)
