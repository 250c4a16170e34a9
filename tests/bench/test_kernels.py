"""The bench of kernels runs both forms of a model, and ends with an error where ours takes too long."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper, save

from bench import kernels


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, value in kernels.ONE_THREAD.items():
        monkeypatch.setenv(name, value)
    rng = np.random.default_rng(0)
    weights = {"d": rng.normal(size=(4, 1, 3, 3)), "p": rng.normal(size=(6, 4, 1, 1))}
    nodes = [
        helper.make_node("Conv", ["x", "d"], ["a"], group=4, pads=[1, 1, 1, 1]),
        helper.make_node("Conv", ["a", "p"], ["y"]),
    ]
    ports = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, channels, 8, 8])
        for name, channels in (("x", 4), ("y", 6))
    ]
    constants = [numpy_helper.from_array(values.astype(np.float32), name) for name, values in weights.items()]
    made = helper.make_graph(nodes, "small", ports[:1], ports[1:], constants)
    file = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    save(file, tmp_path / "small.onnx")
    return tmp_path


@pytest.mark.parametrize(("most", "code"), [("1e9", 0), ("0", 1)])
def test_figures(models: Path, most: str, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--models", str(models), "--names", "small", "--runs", "3", "--most", most]
    assert kernels.main([*words, "--output", str(models / "table.md")]) == code
    text = capsys.readouterr().out
    assert (models / "table.md").read_text(encoding="utf-8") == text
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| small")]
    assert all(float(cell.strip(" |")) > 0 for cell in rows[0][1:])
    assert "depthwise" in rows[1][1] and "pointwise" in rows[1][1]
